#!/bin/bash
# The second boot: the service comes by itself, then a wrong configuration, an upgrade, and the end.
. /root/box-lib.sh

reboot() {
  within 120 sh -c 'systemctl is-active askara-sync'
  import_all
  clinic add/5
  within 120 complete
  askara-sync status --json | grep -F '"state":"ok"'
}

wrong() {
  cp $config /root/right.toml
  sed -i 's/^group.*/grupo = "praxis"/' $config
  refuses systemctl restart askara-sync
  sleep 4
  [ "$(property ActiveState)" = failed ]
  [ "$(property ExecMainStatus)" = 78 ]
  [ "$(property NRestarts)" = 0 ]
  systemctl status askara-sync --no-pager -l | grep -F 'sink.grupo: unknown key; the nearest is sink.group, line'
  cp /root/right.toml $config
  systemctl restart askara-sync
}

upgrade() {
  import_all
  before=$(main_pid)
  sum=$(sha256sum $config)
  DEBIAN_FRONTEND=noninteractive dpkg -i /root/1.1.0.deb
  [ "$(dpkg-query -W -f '${Version}' askara-sync)" = 1.1.0 ]
  [ "$(sha256sum $config)" = "$sum" ]
  [ "$(property ActiveState)" = active ]
  [ "$(property MainPID)" != "$before" ]
  systemctl is-enabled askara-sync
  clinic add/3
  within 120 complete
  askara-sync status --json | grep -F '"state":"ok"'
}

downgrade() {
  import_all
  refuses dpkg -i /root/0.9.0.deb 2>&1 | tee /root/downgrade.txt
  grep -F 'this version is older than the one that wrote' /root/downgrade.txt
  refuses grep -F 'did not fail' /root/downgrade.txt
  [ "$(dpkg-query -W -f '${Status} ${Version}' askara-sync)" = "install ok installed 1.1.0" ]
  [ "$(property ActiveState)" = active ]
  clinic add/3
  within 120 complete
}

remove() {
  dpkg -r askara-sync
  refuses systemctl is-active askara-sync
  [ ! -e /usr/bin/askara-sync ]
  [ -s $state/askara-sync.db ]
  [ -s $config ]
  # Installed again it goes on where it was.
  import_all
  dpkg -i /root/1.1.0.deb
  systemctl enable --now askara-sync
  clinic add/3
  within 120 complete
}

purge() {
  kept=$(files)
  [ "$kept" -gt 0 ]
  dpkg -P askara-sync
  refuses systemctl is-active askara-sync
  [ ! -e $state ]
  [ ! -e /etc/askara-sync ]
  [ ! -e /etc/credstore/askara-sync.client_secret ]
  [ ! -e /etc/systemd/system/askara-sync.service.d ]
  left=$(find /etc /usr /var /srv -xdev -name '*askara-sync*' | grep -v -e ^/var/log -e ^/var/lib/systemd -e ^"$(dirname $import)"/ || true)
  [ -z "$left" ]
  # What was delivered stays.
  [ "$(files)" = "$kept" ]
}

step "reboot" reboot
step "wrong configuration" wrong
step "upgrade" upgrade
step "downgrade is refused" downgrade
step "remove" remove
step "purge" purge
