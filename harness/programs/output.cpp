#include "programs/output.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

namespace railyard::harness {

namespace {

void write_all(int target, const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    ssize_t size = write(target, text.data() + at, text.size() - at);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return;  // the reader is gone
    at += static_cast<size_t>(size);
  }
}

}  // namespace

OutputMixer::~OutputMixer() {
  for (Stream& stream : streams_) {
    if (stream.pipe >= 0) close(stream.pipe);
  }
}

int OutputMixer::add(const std::string& prefix, int target) {
  return add(
      [prefix, target](const std::string& line) { write_all(target, prefix + line + "\n"); });
}

int OutputMixer::add(Listener listener) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("cannot make a pipe for a rank's output");
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  streams_.push_back({ends[0], std::move(listener), ""});
  return ends[1];
}

void OutputMixer::write_lines(Stream& stream, bool all) {
  size_t from = 0;
  for (size_t end; (end = stream.pending.find('\n', from)) != std::string::npos; from = end + 1) {
    stream.listener(stream.pending.substr(from, end - from));
  }
  stream.pending.erase(0, from);
  if (all && !stream.pending.empty()) stream.listener(std::exchange(stream.pending, ""));
}

void OutputMixer::take(Stream& stream) {
  char buffer[16384];
  for (;;) {
    ssize_t size = read(stream.pipe, buffer, sizeof buffer);
    if (size > 0) {
      stream.pending.append(buffer, static_cast<size_t>(size));
      continue;
    }
    bool more_later = size < 0 && (errno == EAGAIN || errno == EINTR);
    write_lines(stream, !more_later);
    if (!more_later) {
      close(stream.pipe);
      stream.pipe = -1;
    }
    return;
  }
}

bool OutputMixer::pass(int milliseconds) {
  std::vector<pollfd> waits;
  std::vector<Stream*> open;
  for (Stream& stream : streams_) {
    if (stream.pipe < 0) continue;
    waits.push_back({stream.pipe, POLLIN, 0});
    open.push_back(&stream);
  }
  poll(waits.data(), static_cast<nfds_t>(waits.size()), milliseconds);
  for (size_t i = 0; i < open.size(); ++i) {
    if (waits[i].revents != 0) take(*open[i]);
  }
  return !open.empty();
}

}  // namespace railyard::harness
