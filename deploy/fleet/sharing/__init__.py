"""Models travel once: boards give them to one another, or fetch them from a web server that stands where they are."""

from deploy.fleet.sharing.peers import Peers
from deploy.fleet.sharing.site import SiteCache
from deploy.hosts.carriage import offer_way


def offer_ways() -> None:
    """Makes the ways known that the setting `distribution` names."""
    offer_way("peers", Peers.of_settings)
    offer_way("site", SiteCache.of_settings)
