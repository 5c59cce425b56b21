/* What Chorus needs of MPI, whose names are macros that Swift does not see. */
#ifndef CHORUS_CMPI_H
#define CHORUS_CMPI_H

#include <mpi.h>

/* One exchange of bytes with another rank, under way. */
struct cmpi_swap {
  MPI_Request requests[2];
  int count;
};

/* Begins; 0 where it fails. Errors come back as codes from then on. */
static inline int cmpi_begin(int *rank, int *ranks) {
  int provided = 0;
  if (MPI_Init_thread(0, 0, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS || provided < MPI_THREAD_SERIALIZED) return 0;
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  return MPI_Comm_rank(MPI_COMM_WORLD, rank) == MPI_SUCCESS && MPI_Comm_size(MPI_COMM_WORLD, ranks) == MPI_SUCCESS;
}

static inline void cmpi_end(void) { MPI_Finalize(); }

/* Starts to send and to receive; 0 where it fails. */
static inline int cmpi_start(
    struct cmpi_swap *swap, const void *outgoing, int out_bytes, void *incoming, int in_bytes, int other) {
  swap->count = 0;
  if (in_bytes > 0 &&
      MPI_Irecv(incoming, in_bytes, MPI_BYTE, other, 0, MPI_COMM_WORLD, &swap->requests[swap->count++]) != MPI_SUCCESS)
    return 0;
  return out_bytes == 0 ||
         MPI_Isend(outgoing, out_bytes, MPI_BYTE, other, 0, MPI_COMM_WORLD, &swap->requests[swap->count++]) == MPI_SUCCESS;
}

/* 1 where all has come and gone, 0 where it has not yet, -1 where it fails. */
static inline int cmpi_done(struct cmpi_swap *swap) {
  int done = 0;
  if (MPI_Testall(swap->count, swap->requests, &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS) return -1;
  return done;
}

#endif
