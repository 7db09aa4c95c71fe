// Ranks that have an all-gather already (their launcher's, MPI's, here: files in a directory that
// all see) need no coordinator's address: they find each other by it.
#include <jaccl/jaccl.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

// Every rank writes its piece to a file of its own and reads all others'.
jaccl::AllGather through_files(const std::string& directory, int rank, int size) {
  auto round = std::make_shared<int>(0);
  return [=](const void* input, void* output, size_t bytes) {
    auto file = [&](int of) {
      return directory + "/" + std::to_string(*round) + "." + std::to_string(of);
    };
    // Renamed into place, so that nobody reads half of it.
    std::string unfinished = file(rank) + ".part";
    std::ofstream(unfinished, std::ios::binary)
        .write(static_cast<const char*>(input), static_cast<std::streamsize>(bytes));
    std::rename(unfinished.c_str(), file(rank).c_str());
    char* target = static_cast<char*>(output);
    for (int of = 0; of < size; ++of, target += bytes) {
      std::ifstream piece;
      while (piece.open(file(of), std::ios::binary), !piece) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      piece.read(target, static_cast<std::streamsize>(bytes));
    }
    ++*round;
  };
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto group = jaccl::init(/*strict=*/true,
                           [&](int rank, int size) { return through_files(argv[1], rank, size); });
  float sum = 1;
  group->all_sum(&sum, &sum, sizeof(sum), jaccl::Dtype::Float32);
  bool right = sum == static_cast<float>(group->size());
  std::puts(right ? "ok" : "wrong");
  return right ? 0 : 3;
}
