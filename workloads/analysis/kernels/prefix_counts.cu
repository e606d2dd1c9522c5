// Counts of the upper 15 bits of every float32: the quantile sketch.
//
// Aim: device-memory bandwidth (4 bytes per value; the second read of a column, for its other sign, comes from L2). Counters of one sign are
// 64 KiB of shared memory, so that hot bins do not meet in L2, and three blocks fit into an SM of sm_90.
// Deterministic: integers add up in any order.

constexpr int THREADS = 512;
constexpr int SHIFT = 17;  // sketch.py has the same figure
constexpr int HALF = 1 << (31 - SHIFT);

// Grid (chunks, columns, 2): z is the sign bit. Dynamic shared memory: HALF * 4 bytes. values: (columns, rows) in C order.
// histogram: (columns, 2 * HALF) by raw prefix, added to. A chunk must have fewer than 2^32 rows.
extern "C" __global__ void __launch_bounds__(THREADS)
    prefix_counts(const unsigned* __restrict__ values, long long rows, long long chunk_rows, unsigned long long* histogram) {
  extern __shared__ unsigned counts[];
  for (int bin = threadIdx.x; bin < HALF; bin += THREADS) counts[bin] = 0;
  __syncthreads();

  const unsigned* column = values + blockIdx.y * rows;
  const long long first = blockIdx.x * chunk_rows, last = min(first + chunk_rows, rows);
  for (long long row = first + threadIdx.x; row < last; row += THREADS) {
    const unsigned bits = column[row];
    if (bits >> 31 == blockIdx.z) atomicAdd(&counts[(bits >> SHIFT) & (HALF - 1)], 1u);
  }
  __syncthreads();

  unsigned long long* out = histogram + (static_cast<long long>(blockIdx.y) * 2 + blockIdx.z) * HALF;
  for (int bin = threadIdx.x; bin < HALF; bin += THREADS) {
    if (counts[bin] > 0) atomicAdd(&out[bin], static_cast<unsigned long long>(counts[bin]));
  }
}
