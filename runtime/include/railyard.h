/* Railyard's collectives for C.
 *
 * Functions that return int give 0, or minus one and a text in railyard_last_error().
 * Thread-safety, blocking, and the meaning of every operation are those of railyard/group.h. Sizes
 * are bytes. */
#ifndef RAILYARD_H
#define RAILYARD_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct railyard_group railyard_group;

/* JACCL's numbers. */
typedef enum railyard_dtype {
  RAILYARD_BOOL = 0,
  RAILYARD_INT8,
  RAILYARD_INT16,
  RAILYARD_INT32,
  RAILYARD_INT64,
  RAILYARD_UINT8,
  RAILYARD_UINT16,
  RAILYARD_UINT32,
  RAILYARD_UINT64,
  RAILYARD_FLOAT16,
  RAILYARD_BFLOAT16,
  RAILYARD_FLOAT32,
  RAILYARD_FLOAT64,
  RAILYARD_COMPLEX64
} railyard_dtype;

#define RAILYARD_UNDEFINED_COLOR (-1)

/* The group that the environment describes. Null when there is nothing in the environment (an error
 * if `strict`), and on every error: railyard_last_error() is empty in the first case only. */
railyard_group* railyard_init(int strict);

/* Null without a group: for RAILYARD_UNDEFINED_COLOR, with an empty railyard_last_error(), and on
 * errors. */
railyard_group* railyard_split(railyard_group* group, int color, int key);

/* Takes null. Returns within about a second. */
void railyard_free(railyard_group* group);

int railyard_rank(const railyard_group* group);
int railyard_size(const railyard_group* group);
/* "mesh: every pair of ranks has a device to each other"; lives as long as the group. */
const char* railyard_description(const railyard_group* group);

int railyard_all_sum(railyard_group* group, const void* input, void* output, size_t bytes,
                     railyard_dtype dtype);
int railyard_all_max(railyard_group* group, const void* input, void* output, size_t bytes,
                     railyard_dtype dtype);
int railyard_all_min(railyard_group* group, const void* input, void* output, size_t bytes,
                     railyard_dtype dtype);
/* `input` holds a chunk of `bytes` for each rank. */
int railyard_sum_scatter(railyard_group* group, const void* input, void* output, size_t bytes,
                         railyard_dtype dtype);
/* `output` holds a chunk of `bytes` for each rank. */
int railyard_all_gather(railyard_group* group, const void* input, void* output, size_t bytes);
int railyard_broadcast(railyard_group* group, void* data, size_t bytes, int root);
/* Both hold a chunk of `bytes` for each rank. */
int railyard_all_to_all(railyard_group* group, const void* input, void* output, size_t bytes);
int railyard_send(railyard_group* group, const void* data, size_t bytes, int destination);
int railyard_recv(railyard_group* group, void* data, size_t bytes, int source);
int railyard_barrier(railyard_group* group);
/* From any thread: ends the operation in progress, and the group, on all ranks. */
void railyard_abort(railyard_group* group);

/* What the last call of this thread had to say: one line, empty when it succeeded. Valid until this
 * thread's next call. */
const char* railyard_last_error(void);
/* Its code, "peer-dead" and the like; empty when it succeeded. */
const char* railyard_last_error_code(void);

#ifdef __cplusplus
}
#endif

#endif
