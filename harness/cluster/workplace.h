// The private directory of a run and the page of each worker in it.
#pragma once

#include <string>

#include "railyard/worker.h"

namespace railyard::harness {

// A directory of mode 0700 that vanishes with the object, with the guard, or with a later sweep.
class Workplace {
 public:
  Workplace();
  ~Workplace();
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const;
  void keep() { keep_ = true; }

  // Removes directories of this user whose run is gone; returns how many.
  static int sweep();

 private:
  std::string path_;
  int lock_ = -1;
  bool keep_ = false;
};

// A worker's page, laid out and mapped.
class PageFile {
 public:
  explicit PageFile(const std::string& path);
  ~PageFile();
  PageFile(PageFile&& other) noexcept : page_(other.page_) { other.page_ = nullptr; }
  PageFile& operator=(PageFile&&) = delete;

  WorkerPage& operator*() const { return *page_; }
  WorkerPage* operator->() const { return page_; }

 private:
  WorkerPage* page_ = nullptr;
};

// The last lines of a file, at most `lines` of them.
std::string tail_of(const std::string& file, int lines);

}  // namespace railyard::harness
