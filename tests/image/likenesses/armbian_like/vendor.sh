chmod 700 /root
ln -sfn ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
echo root:1234 | chpasswd
cp "$initrd" /boot/uInitrd
ln -sfn "${kernel##*/}" /boot/Image
want multi-user.target systemd-networkd.service
want sockets.target systemd-networkd.socket
want multi-user.target armbian-firstrun.service
