/* One step of a mixture of experts: every rank has the experts [start, end), adds up what they
 * say, and all_sum makes the layer's output of it on all ranks. */
#include <stdio.h>

#include "railyard.h"

enum { kExperts = 256, kWidth = 7168 };

static int fail(railyard_group* group) {
  fprintf(stderr, "%s\n", railyard_last_error());
  railyard_free(group);
  return 1;
}

int main(void) {
  static float output[kWidth];
  railyard_group* group = railyard_init(1);
  if (!group) return fail(group);
  int rank = railyard_rank(group), size = railyard_size(group);
  if (rank == 0) printf("%s\n", railyard_description(group));

  int start = kExperts * rank / size, end = kExperts * (rank + 1) / size;
  for (int expert = start; expert < end; ++expert) {
    for (int i = 0; i < kWidth; ++i) output[i] += (float)(expert % 8 + i % 4);
  }
  if (railyard_all_sum(group, output, output, sizeof(output), RAILYARD_FLOAT32)) return fail(group);
  if (railyard_barrier(group)) return fail(group);

  /* Every rank tells the next one what it has. */
  float first = output[0];
  if (size > 1 && rank > 0 && railyard_recv(group, &first, sizeof(first), rank - 1)) {
    return fail(group);
  }
  if (rank + 1 < size && railyard_send(group, output, sizeof(first), rank + 1)) return fail(group);

  int right = first == output[0] && output[0] == 896 && output[1] == 1152;
  printf("%s\n", right ? "ok" : "wrong");
  railyard_free(group);
  return right ? 0 : 3;
}
