/* Moves data between the ranks of an MPI job and checks it: messages of many sizes around a ring, a
 * reduction over all, a one-sided write and read. Exits with 0 if all has arrived. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kLargest = 1 << 20 };

static int rank, size, wrong;

static void check(int holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "rank %d: %s\n", rank, what);
  wrong = 1;
}

static unsigned char pattern(int from, int bytes, int at) {
  return (unsigned char)(from * 31 + bytes * 7 + at);
}

static void around_the_ring(void) {
  unsigned char* out = malloc(kLargest);
  unsigned char* in = malloc(kLargest);
  int left = (rank + size - 1) % size, right = (rank + 1) % size;
  for (int bytes = 1; bytes <= kLargest; bytes *= 4) {
    for (int i = 0; i < bytes; ++i) out[i] = pattern(rank, bytes, i);
    memset(in, 0, (size_t)bytes);
    MPI_Sendrecv(out, bytes, MPI_BYTE, right, 1, in, bytes, MPI_BYTE, left, 1, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    int right_bytes = 1;
    for (int i = 0; i < bytes; ++i) right_bytes &= in[i] == pattern(left, bytes, i);
    check(right_bytes, "a message has other bytes");
  }
  free(out);
  free(in);
}

static void over_all(void) {
  enum { kCount = 10000 };
  static double in[kCount], out[kCount];
  for (int i = 0; i < kCount; ++i) in[i] = rank + i;
  MPI_Allreduce(in, out, kCount, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  int right_sums = 1;
  for (int i = 0; i < kCount; ++i) right_sums &= out[i] == size * (size - 1) / 2.0 + size * (double)i;
  check(right_sums, "a sum is wrong");
}

static void one_sided(void) {
  enum { kCount = 4096 };
  int* memory;
  MPI_Win window;
  MPI_Win_allocate(kCount * sizeof(int), sizeof(int), MPI_INFO_NULL, MPI_COMM_WORLD, &memory, &window);
  static int out[kCount], in[kCount];
  int right = (rank + 1) % size, left = (rank + size - 1) % size;
  for (int i = 0; i < kCount; ++i) out[i] = rank * 100000 + i;
  MPI_Win_fence(0, window);
  MPI_Put(out, kCount, MPI_INT, right, 0, kCount, MPI_INT, window);
  MPI_Win_fence(0, window);
  MPI_Get(in, kCount, MPI_INT, right, 0, kCount, MPI_INT, window);
  MPI_Win_fence(0, window);
  int put = 1, got = 1;
  for (int i = 0; i < kCount; ++i) {
    put &= memory[i] == left * 100000 + i;
    got &= in[i] == rank * 100000 + i;
  }
  check(put, "what was put is not there");
  check(got, "what was got is something else");
  MPI_Win_free(&window);
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  around_the_ring();
  over_all();
  one_sided();
  int all_wrong;
  MPI_Allreduce(&wrong, &all_wrong, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  if (rank == 0 && !all_wrong) printf("%d ranks: all has arrived\n", size);
  MPI_Finalize();
  return all_wrong;
}
