# Read by the scripts that run on a booted system: steps, waiting, and what they look at. $1 is the address of Askara.
askara=$1
import=/srv/praxis/import
state=/var/lib/askara-sync
config=/etc/askara-sync/config.toml

# step NAME FUNCTION: runs the function and reports it. A failed step does not end the script, since later ones say more.
step() {
  echo "STEP $1"
  # Not as a condition, where bash would ignore set -e inside as well.
  (set -ex; "$2") 2>&1
  if [ $? -eq 0 ]; then
    echo "PASS $1"
  else
    echo "FAIL $1"
    systemctl status askara-sync --no-pager -l || true
    journalctl -u askara-sync --no-pager -n 30 || true
  fi
}

# within SECONDS COMMAND…: waits until the command succeeds.
within() {
  { set +x; } 2>/dev/null
  local until=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < until)) || { echo "not within time: $*"; return 1; }
    sleep 0.2
  done
  set -x
}

# refuses COMMAND…: the command fails. (set -e does not notice a command after "!".)
refuses() {
  if "$@"; then
    echo "did not fail: $*"
    return 1
  fi
}

clinic() { curl -fsS "$askara/clinic/$1"; }
files() { find $import -type f -name '*.pdf' | wc -l; }
property() { systemctl show -p "$1" --value askara-sync; }
# main_pid fails where the service does not run: kill takes 0 for everybody.
main_pid() {
  local pid
  pid=$(property MainPID)
  [ "${pid:-0}" -gt 1 ] || return 1
  echo "$pid"
}
journal_has() { journalctl -u askara-sync --no-pager -o cat | grep -qF -- "$1"; }

journal_matches() { journalctl -u askara-sync --no-pager -o cat | grep -E -- "$1"; }

# import_all: the practice software takes everything that is there. complete then counts it.
import_all() {
  find $import -type f -delete
  taken=$(clinic documents)
}

# complete: every document that was not taken before is there, once and confirmed; nothing else is; Askara has nothing to complain of.
complete() {
  [ "$(($(files) + taken))" = "$(clinic documents)" ] && [ "$(clinic unconfirmed)" = 0 ] && [ "$(clinic sins)" = 0 ] &&
    [ "$(find $import -type f | wc -l)" = "$(files)" ] &&
    [ -z "$(find $import -type f -exec sha256sum {} + | cut -c1-64 | sort | uniq -d)" ]
}

# holds N: so many documents are in the folder.
holds() { [ "$(files)" = "$1" ]; }

# underway: some of the documents are there, and others are still to come.
underway() { [ "$(files)" -ge 5 ] && [ "$(($(files) + taken))" -lt "$(clinic documents)" ]; }
