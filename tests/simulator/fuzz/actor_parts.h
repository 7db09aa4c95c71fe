// What a rank holds: open devices, queue pairs, and the memory of requests under way.
#pragma once

#include <infiniband/verbs.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include "wire.h"

namespace railyard::fuzz {

inline constexpr size_t kArenaBytes = size_t{96} << 20;
inline constexpr uint8_t kUntouched = 0xee;
inline constexpr size_t kMargin = 64;  // watched bytes behind each piece

inline uint8_t* map_memory(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("mmap");
  return static_cast<uint8_t*>(memory);
}

template <typename T>
T* need(T* made, const char* what) {
  if (!made) throw std::runtime_error(std::string(what) + ": " + strerror(errno));
  return made;
}

// An open device: two protection domains, and the arena that requests take their pieces from.
struct Device {
  ibv_context* context;
  ibv_pd* domain;
  ibv_pd* foreign;
  ibv_cq* queue;  // of all who have none of their own
  uint32_t keys[kKeys];

  Device(int index, uint8_t* arena) {
    int count = 0;
    ibv_device** list = need(ibv_get_device_list(&count), "ibv_get_device_list");
    if (index >= count) throw std::runtime_error("no such device");
    context = need(ibv_open_device(list[index]), "ibv_open_device");
    ibv_free_device_list(list);
    domain = need(ibv_alloc_pd(context), "ibv_alloc_pd");
    foreign = need(ibv_alloc_pd(context), "ibv_alloc_pd");
    queue = need(ibv_create_cq(context, 4096, nullptr, nullptr, 0), "ibv_create_cq");
    auto key = [&](ibv_pd* of, int access) {
      return need(ibv_reg_mr(of, arena, kArenaBytes, access), "ibv_reg_mr");
    };
    keys[int(Key::good)] = keys[int(Key::outside)] = key(domain, IBV_ACCESS_LOCAL_WRITE)->lkey;
    keys[int(Key::read_only)] = key(domain, 0)->lkey;
    keys[int(Key::foreign)] = key(foreign, IBV_ACCESS_LOCAL_WRITE)->lkey;
    ibv_mr* gone = key(domain, IBV_ACCESS_LOCAL_WRITE);
    keys[int(Key::stale)] = gone->lkey;
    ibv_dereg_mr(gone);
  }
};

struct Slot {
  Device* device = nullptr;
  ibv_qp* pair = nullptr;
  ibv_cq* queue = nullptr;
  EndPlan end{};
  uint8_t* window = nullptr;
  uint32_t keys[kKeys] = {};
};

// The pieces of a request until it is completed.
struct Posted {
  uint8_t* at[kMostPieces];
  uint32_t bytes[kMostPieces];
  uint32_t pieces;
  bool filled;  // by the completion: a receive, a read, an atomic operation
};

}  // namespace railyard::fuzz
