#!/bin/sh
# Runs one of a pair of programs: pair.sh <port> <server's command> <client's command> <peer>
#
# <peer> is the server's address for the client and absent for the server, or "rank:<n>" where the server
# cannot be waited for: then rank 0 is the server. The commands may use $port and $peer. A server that
# would serve for ever ends with its client when its command begins with "endless ".
port=$1 server=$2 client=$3 peer=$4
case $peer in
  rank:0) peer= ;;
  rank:*) peer=127.0.0.1 ;;
esac
note=${RAILYARD_SYSFS%/*}/server  # in the run's own directory

# rping's thread for events reads on until the main thread has closed their channel. Where it comes too late it
# ends the program with that error, although all is done: then a line for every ping is what counts.
rping() {
  said=$(command rping "$@" -v 2>&1)
  code=$?
  echo "$said"
  pings=$(echo "$*" | sed 's/.*-C \([0-9]*\).*/\1/')
  case $said in
    *"rdma_get_cm_event: Bad file descriptor"*) [ "$(echo "$said" | grep -c 'ping data: ')" = "$pings" ] ;;
    *) return $code ;;
  esac
}

if [ -z "$peer" ]; then
  echo $$ >"$note"
  eval "exec ${server#endless }"  # who looks whether it listens looks at this very process
fi
eval "$client" || exit
echo "the client has succeeded"
case $server in
  endless\ *) kill "$(cat "$note")" ;;
esac
