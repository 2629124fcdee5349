#!/bin/bash
# The first boot of an installation: from the package to a service that has been killed, stopped and reloaded.
. /root/box-lib.sh

install_package() {
  dpkg -i /root/1.0.0.deb
  id askara-sync
  [ "$(stat -c '%U %a' $state)" = "askara-sync 700" ]
  refuses systemctl is-active askara-sync
  askara-sync version | grep -F 'askara-sync 1.0.0 '
  # As it is installed it says what is missing, once.
  refuses systemctl start askara-sync
  [ "$(property ExecMainStatus)" = 78 ]
  journal_has 'api.client_id: is missing'
  systemctl reset-failed askara-sync
}

configure() {
  useradd --create-home praxis
  printf sandbox-client-secret | install -m 0600 /dev/stdin /etc/credstore/askara-sync.client_secret
  cat >$config <<END
schedule = "@every 10s"
jitter = "0s"
[api]
base_url = "$askara"
authorize_url = "$askara/authorize"
client_id = "askara-sandbox"
[sink]
path = "$import"
group = "praxis"
END
  askara-sync status | grep -F 'nobody has logged in yet'
  [ -z "$(ls -A $state)" ]
}

prepare_folder() {
  install -d -o praxis -g praxis -m 2770 $import
  askara-sync install-folder --dry-run $import
  [ ! -e /etc/systemd/system/askara-sync.service.d ]
  askara-sync install-folder $import
  grep -F 'SupplementaryGroups=praxis' /etc/systemd/system/askara-sync.service.d/folder.conf
  # Shorter than installed, so that the test need not wait for minutes.
  printf '[Service]\nWatchdogSec=5s\nRestartSec=1s\n' >/etc/systemd/system/askara-sync.service.d/test.conf
  systemctl daemon-reload
}

start_without_login() {
  systemctl enable --now askara-sync
  [ "$(property ActiveState)" = active ]
  within 60 journal_has 'pass failing'
  sleep 22 # two passes more
  [ "$(property NRestarts)" = 0 ]
  # One line, not one a pass.
  [ "$(journalctl -u askara-sync --no-pager -o cat | grep -c 'pass failing')" = 1 ]
  askara-sync status | grep -F 'sudo askara-sync login'
}

login() {
  clinic add/25
  askara-sync login
  askara-sync status --json | grep -F '"state":"ok"'
}

deliver() {
  taken=0
  within 120 complete
  [ "$(files)" = 25 ]
  [ -z "$(find $import -name '*.pdf' ! \( -group praxis -a -perm 0640 \))" ]
  su praxis -c "cat $import/*.pdf" | grep -aq '%PDF-'
  # The importer takes them away as it likes.
  su praxis -c "rm $import/*.pdf"
  clinic add/3
  within 60 holds 3
}

hardening() {
  pid=$(main_pid)
  grep -E '^CapEff:\s+0+$' /proc/$pid/status
  grep -E '^NoNewPrivs:\s+1$' /proc/$pid/status
  grep -E '^Seccomp:\s+2$' /proc/$pid/status
  level=$(systemd-analyze security --no-pager askara-sync | sed -n 's/.*exposure level for askara-sync.service: \([0-9.]*\).*/\1/p')
  echo "FIGURE exposure $level"
  awk "BEGIN { exit !($level <= 1.5) }"
  # Discreet: neither secret nor token in the journal.
  refuses journal_matches 'sandbox-client-secret|eyJ|def50'
  # The journal has levels, and no times of our own.
  journalctl -u askara-sync --no-pager -o cat -p info | grep -F 'started version='
  refuses journal_matches '^(<[0-9]>|20[0-9]{2}-)'
}

as_root() {
  askara-sync status
  askara-sync --once
  askara-sync verify || [ $? = 75 ]
  [ -z "$(find $state $import ! -user askara-sync ! -user praxis)" ]
}

once() {
  # Its result is on standard output, and nothing else.
  clinic add/4
  out=$(askara-sync --once --json)
  [ "$(echo "$out" | wc -l)" = 1 ]
  within 60 holds 7
}

killed() {
  import_all
  clinic pause/150ms
  clinic add/200
  within 60 underway
  before=$(main_pid)
  kill -9 "$before"
  sleep 0.5
  clinic pause/0s
  within 120 complete
  [ "$(property MainPID)" != "$before" ]
  [ "$(property NRestarts)" -ge 1 ]
}

stuck() {
  import_all
  before=$(main_pid)
  kill -STOP "$before"
  clinic add/5
  within 120 sh -c "[ \"\$(systemctl show -p MainPID --value askara-sync)\" != $before ]"
  journal_has 'Watchdog timeout'
  within 120 complete
}

reload() {
  before=$(main_pid)
  sed -i 's/^jitter.*/jitter = "1s"/' $config
  systemctl reload askara-sync
  within 60 journal_has 'configuration read again'
  within 60 sh -c 'systemctl is-active askara-sync'
  [ "$(property MainPID)" = "$before" ]
  import_all
  clinic add/2
  within 120 complete
}

reload_wrong() {
  before=$(main_pid)
  cp $config /root/right.toml
  echo 'colour = "red"' >>$config
  systemctl reload askara-sync
  within 60 journal_has 'configuration not taken over'
  journal_has 'sink.colour: unknown key'
  [ "$(property MainPID)" = "$before" ]
  [ "$(property ActiveState)" = active ]
  cp /root/right.toml $config
}

stop_during_pass() {
  import_all
  clinic pause/300ms
  clinic add/200
  within 60 underway
  begun=$SECONDS
  systemctl stop askara-sync
  [ $((SECONDS - begun)) -le 35 ]
  [ "$(property Result)" = success ]
  [ "$(property ExecMainStatus)" = 0 ]
  underway
  # What is there is whole.
  for f in $import/*.pdf; do tail -c 32 "$f" | grep -aq '%%EOF'; done
  clinic pause/0s
  systemctl start askara-sync
  within 120 complete
}

figures() {
  sleep 2
  echo "FIGURE memory now $(($(property MemoryCurrent) / 1024)) KiB"
  systemctl restart askara-sync
  started=$(property ExecMainStartTimestampMonotonic)
  ready=$(property ActiveEnterTimestampMonotonic)
  echo "FIGURE from start to READY $(((ready - started) / 1000)) ms"
  echo "FIGURE binary $(stat -c %s /usr/bin/askara-sync) bytes"
  [ "$(stat -c %s /usr/bin/askara-sync)" -le $((25 * 1000 * 1000)) ]
}

step "install" install_package
step "status before anything" configure
step "prepare the folder" prepare_folder
step "start without a login" start_without_login
step "login" login
step "deliver into another program's folder" deliver
step "hardening holds" hardening
step "commands leave nothing of root's" as_root
step "once beside the daemon" once
step "kill -9" killed
step "stuck loop" stuck
step "reload" reload
step "reload of a wrong configuration" reload_wrong
step "stop during a pass" stop_during_pass
step "figures" figures
# As a person would before a reboot.
systemctl stop askara-sync
clinic documents >/root/documents-before
sync
