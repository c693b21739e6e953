"""Root trees and images. These tests need root, and the packages of deploy/controller/setup.sh."""
