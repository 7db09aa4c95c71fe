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

if [ -z "$peer" ]; then
  echo $$ >"$note"
  eval "exec ${server#endless }"
fi
eval "$client" || exit
echo "the client has succeeded"
case $server in
  endless\ *) kill "$(cat "$note")" ;;
esac
