#!/bin/sh
# rdma-core's own tests of verbs, on a device: rdma_core_tests.sh <folder of the tests> <device>
#
# Those of mlx5 and efa go to the adapter's registers, and the connection manager's want a network
# interface beside the device. The package has the larger files compressed.
set -e
work=${RAILYARD_SYSFS%/*}/rdma-core-tests  # in the run's own directory
mkdir "$work"
cp "$1"/* "$work"
cd "$work"
gunzip -f ./*.gz
rm -f test_mlx5* test_efa* test_rdmacm* test_cuda*
/usr/bin/python3 run_tests.py --dev "$2" -v >log 2>&1 && result=0 || result=$?
cat log
# What a device lacks is skipped: most of them, where the device is not one.
passed=$(grep -c "\.\.\. ok$" log) || true
echo "$passed tests have passed"
[ "$passed" -ge 80 ] || exit 1
exit "$result"
