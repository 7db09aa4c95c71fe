#include "worker/progress.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "worker/work.h"

namespace railyard::worker {

using harness::kNowhere;
using harness::Phase;
using harness::WorkerPage;

namespace {

constexpr timespec kPauseStep = {.tv_sec = 0, .tv_nsec = 100'000};

void set_phase(WorkerPage* page, Phase phase) {
  page->phase.store(static_cast<uint32_t>(phase), std::memory_order_release);
}

}  // namespace

int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

Progress Progress::from_environment() {
  const std::string path = environment(harness::kProgressVariable);
  if (path.empty()) return {};

  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) throw BadInput(fmt::format("{}: {}", path, std::strerror(errno)));
  struct stat status {};
  const bool large_enough =
      fstat(file, &status) == 0 && status.st_size >= off_t{harness::kWorkerPageBytes};
  void* memory = large_enough ? mmap(nullptr, harness::kWorkerPageBytes, PROT_READ | PROT_WRITE,
                                     MAP_SHARED, file, 0)
                              : MAP_FAILED;
  close(file);
  if (memory == MAP_FAILED) throw BadInput(path + ": no worker page");

  Progress progress(static_cast<WorkerPage*>(memory));
  const uint32_t version = progress.page_->version.load();
  if (version != harness::kWorkerPageVersion) {
    throw BadInput(fmt::format("{}: a worker page of version {}, this worker knows {}", path,
                               version, harness::kWorkerPageVersion));
  }
  progress.page_->started_at_ns.store(monotonic_ns());
  return progress;
}

Progress::Progress(WorkerPage* page) : page_(page), parent_(getppid()) {}

Progress::Progress(Progress&& other) noexcept
    : page_(std::exchange(other.page_, nullptr)), parent_(other.parent_) {}

Progress& Progress::operator=(Progress&& other) noexcept {
  std::swap(page_, other.page_);
  std::swap(parent_, other.parent_);
  return *this;
}

Progress::~Progress() {
  if (page_ != nullptr) munmap(page_, harness::kWorkerPageBytes);
}

void Progress::connected() {
  if (page_ == nullptr) return;
  page_->connected_at_ns.store(monotonic_ns(), std::memory_order_relaxed);
  set_phase(page_, Phase::connected);
}

void Progress::begin(uint32_t operation, uint32_t iteration) {
  if (page_ == nullptr) return;
  const harness::Position here = harness::make_position(operation, iteration);
  if (page_->pause_at.load(std::memory_order_acquire) == here) pause();
  page_->began_at_ns.store(monotonic_ns(), std::memory_order_relaxed);
  page_->position.store(here, std::memory_order_release);
  set_phase(page_, Phase::operation);
}

void Progress::pause() {
  const uint32_t pauses = page_->pauses.load(std::memory_order_relaxed) + 1;
  page_->pauses.store(pauses, std::memory_order_release);
  while (page_->resumes.load(std::memory_order_acquire) < pauses) {
    nanosleep(&kPauseStep, nullptr);
    // Nobody is left who could resume.
    if (getppid() != parent_) _exit(static_cast<int>(harness::WorkerExit::operation_failed));
  }
}

void Progress::computing() {
  if (page_ != nullptr) set_phase(page_, Phase::computing);
}

void Progress::waiting() {
  if (page_ != nullptr) set_phase(page_, Phase::operation);
}

void Progress::finish() {
  if (page_ == nullptr) return;
  page_->finished_at_ns.store(monotonic_ns(), std::memory_order_relaxed);
  page_->iterations.fetch_add(1, std::memory_order_release);
}

bool Progress::input_is_stale() {
  if (page_ == nullptr) return false;
  const uint32_t done = page_->stale_inputs.load(std::memory_order_relaxed);
  if (page_->stale_requests.load(std::memory_order_acquire) == done) return false;
  page_->stale_inputs.store(done + 1, std::memory_order_release);
  return true;
}

void Progress::leaving() {
  if (page_ != nullptr) set_phase(page_, Phase::leaving);
}

void Progress::end(bool ok) {
  if (page_ == nullptr) return;
  page_->ended_at_ns.store(monotonic_ns(), std::memory_order_relaxed);
  set_phase(page_, ok ? Phase::done : Phase::failed);
}

}  // namespace railyard::worker
