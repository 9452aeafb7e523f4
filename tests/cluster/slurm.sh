#!/usr/bin/env bash
# A real SLURM of one node on this machine, without systemd and without accounting:
#   slurm.sh start FOLDER    packages, configuration, munge, slurmctld, slurmd; waits until it is idle
#   slurm.sh stop FOLDER
# Memory, cores and devices of a job are limited by cgroups. Partitions: main, and gpu, whose GPU is a
# device file that stands in for one.
set -euo pipefail
folder=$2

start() {
  command -v slurmctld slurmd munged > /dev/null \
    || { export DEBIAN_FRONTEND=noninteractive
         apt-get -qq update
         apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client \
           slurm-wlm-basic-plugins munge > /dev/null; }
  mkdir -p "$folder"/{state,spool,log,run} /etc/slurm
  munge_runs || { mkdir -p /run/munge && chown munge:munge /run/munge
                  runuser -u munge -- /usr/sbin/munged; }
  # Never /dev/null: it would be closed to all jobs without a GPU.
  [ -e /dev/fakegpu0 ] || mknod -m 666 /dev/fakegpu0 c 242 0
  configure
  slurmctld
  slurmd -c
  for _ in $(seq 300); do
    case $(sinfo --noheader --Node --format=%t | head -1) in
      idle) return ;;
      down* | drain* | unk*) scontrol update nodename="$(hostname -s)" state=resume || true ;;
    esac
    sleep 0.2
  done
  cat "$folder"/log/*.log
  echo "SLURM did not start within a minute" >&2
  return 1
}

munge_runs() { munge --no-input > /dev/null 2>&1; }

configure() {
  local node cores memory
  node=$(hostname -s)
  cores=$(env -u OMP_NUM_THREADS nproc)
  memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
  # In /etc/slurm, because jobs lose SLURM_CONF.
  cat > /etc/slurm/slurm.conf <<END
ClusterName=test
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/cgroup
TaskPlugin=task/affinity,task/cgroup
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/log/jobs.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=200000,batch_sched_delay=0
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=10
MinJobAge=300
PropagateResourceLimits=NONE
GresTypes=gpu
NodeName=$node NodeAddr=127.0.0.1 CPUs=$cores Sockets=1 CoresPerSocket=$cores ThreadsPerCore=1 RealMemory=$memory Gres=gpu:1
PartitionName=main Nodes=$node Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=$node MaxTime=INFINITE State=UP
END
  echo "NodeName=$node Name=gpu File=/dev/fakegpu0" > /etc/slurm/gres.conf
  cat > /etc/slurm/cgroup.conf <<END
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
ConstrainCores=yes
ConstrainRAMSpace=yes
ConstrainDevices=yes
ConstrainSwapSpace=yes
AllowedSwapSpace=0
END
}

stop() {
  scancel --user="$(id -un)" 2> /dev/null || true
  sleep 1
  for daemon in slurmd slurmctld; do
    [ -s "$folder/run/$daemon.pid" ] || continue
    number=$(cat "$folder/run/$daemon.pid")
    kill "$number" 2> /dev/null || continue
    for _ in $(seq 100); do
      kill -0 "$number" 2> /dev/null || continue 2
      sleep 0.1
    done
    kill -KILL "$number" 2> /dev/null || true
  done
}

"$1"
