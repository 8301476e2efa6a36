#!/bin/sh
# Applies an overlay to the cluster kubectl points to, waits for it, sends and reads mail, kills a pod, scales, reads again.
#
#   deploy/k8s/smoke.sh [overlay]          default: dev; the image must be on the nodes (docs/operations.md)
#
# Needs kubectl and curl. Leaves everything as it is; `kubectl delete namespace postbus` takes all of it away, mail included.
set -eu
here=$(dirname "$0")
overlay=${1:-dev}
namespace=postbus
hostname=mail.example.org
patience=${PATIENCE:-900s}

kube() { kubectl --namespace "$namespace" "$@"; }
postbus() { kube exec --stdin deployment/operator -- /usr/local/bin/node apps/console/src/cli/main.ts "$@"; }
say() { printf '\n── %s\n' "$*"; }
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  kube get pods,jobs --output wide >&2 || true
  exit 1
}

work=$(mktemp -d)
forwarders=''
tidy() {
  # shellcheck disable=SC2086 # One word for each.
  [ -z "$forwarders" ] || kill $forwarders 2> /dev/null || true
  rm -rf "$work"
}
trap tidy EXIT
trap 'exit 130' INT TERM

say "applying overlay $overlay"
kubectl apply --server-side -k "$here/overlays/$overlay"

say 'waiting for the Jobs, then for every rollout'
for job in keys migrations; do
  kube wait --for=condition=complete --timeout="$patience" job --selector "app.kubernetes.io/name=$job" || fail "Job $job"
done
for workload in statefulset/nats $(kube get deployments --output name); do
  kube rollout status --timeout="$patience" "$workload" || fail "$workload"
done

say 'a domain and two accounts'
password=$(head -c 15 /dev/urandom | base64 | tr '+/' 'xy')
postbus domain add example.org > /dev/null 2>&1 || echo 'example.org is there already'
for name in smith jones; do
  printf '%s\n' "$password" | postbus account add "$name@example.org" --password-stdin > /dev/null 2>&1 \
    || printf '%s\n' "$password" | postbus account change "$name@example.org" --password-stdin > /dev/null \
    || fail "account $name"
done
kube get secret mail-tls --output 'jsonpath={.data.ca\.crt}' | base64 -d > "$work/ca.crt"

# Port-forwards go to one pod and die with it: each step makes its own.
forward() { # service, port on the service, variable to put the local port in
  log=$work/forward-$1-$2
  kube port-forward "service/$1" ":$2" > "$log" 2>&1 &
  forwarders="$forwarders $!"
  for _ in $(seq 1 100); do
    port=$(sed -n 's/^Forwarding from 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$log")
    [ -n "$port" ] && break
    sleep 0.2
  done
  [ -n "$port" ] || fail "no port-forward to $1: $(cat "$log")"
}

send() { # subject
  printf 'From: smith@example.org\r\nTo: jones@example.org\r\nSubject: %s\r\n\r\nhello\r\n' "$1" > "$work/mail"
  forward submission 587
  curl --silent --show-error --fail --ssl-reqd --cacert "$work/ca.crt" --connect-to "$hostname:587:127.0.0.1:$port" \
    --user "smith@example.org:$password" --mail-from smith@example.org --mail-rcpt jones@example.org \
    --upload-file "$work/mail" "smtp://$hostname:587/smoke.example.org" || fail "not submitted: $1"
}

arrives() { # subject
  for _ in $(seq 1 60); do
    forward imap 993
    found=$(curl --silent --cacert "$work/ca.crt" --connect-to "$hostname:993:127.0.0.1:$port" \
      --user "jones@example.org:$password" "imaps://$hostname:993/INBOX?HEADER%20SUBJECT%20$1" || true)
    case $found in *'* SEARCH '[0-9]*) printf '%s is in the mailbox\n' "$1"; return ;; esac
    sleep 2
  done
  fail "$1 did not arrive"
}

run=$(date +%s)
say 'mail in by submission, out over IMAP'
send "first-$run"
arrives "first-$run"

say 'a pod of each moving part is killed; mail goes on'
for name in router mailstore custody; do
  kube delete pod --wait=false "$(kube get pods --selector "app.kubernetes.io/name=$name" --output 'jsonpath={.items[0].metadata.name}')"
done
send "second-$run"
arrives "second-$run"

say 'router to none, and back: work waits'
kube scale deployment router --replicas=0
kube wait --for=delete --timeout=120s pod --selector app.kubernetes.io/name=router || true
send "third-$run"
kube scale deployment router --replicas=3
arrives "third-$run"
kube scale deployment router --replicas=2
arrives "first-$run"

say 'the books'
postbus books
say 'everything held'
