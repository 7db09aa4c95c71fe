#include "platform/process.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#ifdef __APPLE__
#include <sys/sysctl.h>
#endif
#ifdef RAILYARD_LINUX
#include <sched.h>
#endif

namespace railyard::platform {
namespace {

struct Identity {
  uint64_t start_time = 0;  // 0: the system does not say
  bool zombie = false;
};

#ifdef __linux__

Identity identify(pid_t pid) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE* file = fopen(path, "re");
  if (!file) return {};
  char text[1024];
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = 0;
  // The second field, the command's name, may hold spaces and brackets: count from its end.
  char* after_name = strrchr(text, ')');
  if (!after_name) return {};
  char state = 0;
  unsigned long long start = 0;
  long threads = 0;
  // proc(5): state is field 3, num_threads field 20, starttime field 22.
  if (sscanf(after_name + 1,
             " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu",
             &state, &threads, &start) != 3) {
    return {};
  }
  // While a thread is left it may still be inside the kernel, and copy into another's memory.
  return {start, (state == 'Z' || state == 'X') && threads <= 1};
}

#elif defined(__APPLE__)

Identity identify(pid_t pid) {
  int name[] = {CTL_KERN, KERN_PROC, KERN_PROC_PID, pid};
  kinfo_proc info{};
  size_t bytes = sizeof info;
  if (sysctl(name, 4, &info, &bytes, nullptr, 0) != 0 || bytes == 0) return {};
  const timeval& start = info.kp_proc.p_starttime;
  return {static_cast<uint64_t>(start.tv_sec) * 1000000u + static_cast<uint64_t>(start.tv_usec),
          info.kp_proc.p_stat == SZOMB};
}

#else
#error "no way to identify a process on this system yet"
#endif

}  // namespace

uint64_t process_start_time(pid_t pid) { return identify(pid).start_time; }

bool process_alive(pid_t pid, uint64_t start_time) {
  auto exists = [pid] { return kill(pid, 0) == 0 || errno != ESRCH; };
  if (pid <= 0 || !exists()) return false;
  Identity now = identify(pid);
  if (now.start_time == 0) return exists();  // it has gone meanwhile, or the system does not say
  return !now.zombie && (start_time == 0 || now.start_time == start_time);
}

int usable_processors() {
#ifdef RAILYARD_LINUX
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
#endif
  return static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace railyard::platform
