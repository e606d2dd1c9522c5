// Squared distances in float64 of each listed row from its candidates, with the bits of exact.py.
//
// Aim: L2 and device-memory bandwidth of gathered rows, 8 d bytes per candidate; 3 d FP64 operations per candidate stay below it on sm_80, sm_90
// and sm_100, and candidates are some tens per row.
// Deterministic to the bit, and equal to the host: differences, squares and sums are rounded one by one (the intrinsics cannot be fused), and
// the sum folds the upper half onto the lower half until one term is left.

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / 32;  // rows per block; kernels_cupy.py has the same figure
constexpr int CAPACITY = 256;        // candidates.py has the same figure
constexpr double SCALE = 1.0 / 64, LAMBDA = 1.0 / 2048 + 1.0 / 8388608, TINY = 1.0 / (1LL << 50) / (1LL << 50), GUARD = 1.0 / (1LL << 40);

// Grid (listed / WARPS rounded up). Dynamic shared memory: WARPS * columns * 8 bytes. query, data: (rows, columns) float64.
// count, half_squares, kappas: (rows,) by position in the query; values, beside: (rows, CAPACITY).
// squares: (rows, CAPACITY) is written. doubted: (rows,) becomes 1 where a product broke its bounds; a NaN stands for a pair without a product.
extern "C" __global__ void __launch_bounds__(THREADS)
    rerank(const double* __restrict__ query, const double* __restrict__ data, int columns, const int* __restrict__ list, int listed,
           double omega, const double* __restrict__ half_squares, const double* __restrict__ kappas, const int* __restrict__ count,
           const float* __restrict__ values, const int* __restrict__ beside, double* squares, unsigned char* doubted) {
  extern __shared__ double memory[];
  const int lane = threadIdx.x % 32, entry = blockIdx.x * WARPS + threadIdx.x / 32;
  if (entry >= listed) return;
  double* terms = memory + threadIdx.x / 32 * columns;
  const int at = list[entry], candidates = count[at];
  const double* left = query + static_cast<long long>(at) * columns;
  for (int place = 0; place < candidates; ++place) {
    const long long slot = static_cast<long long>(at) * CAPACITY + place;
    const double* right = data + static_cast<long long>(beside[slot]) * columns;
    for (int column = lane; column < columns; column += 32) {
      const double difference = __dsub_rn(left[column], right[column]);
      terms[column] = __dmul_rn(difference, difference);
    }
    __syncwarp();
    for (int width = columns; width > 1; width = (width + 1) / 2) {
      const int half = (width + 1) / 2;
      for (int column = lane; column < width - half; column += 32) terms[column] = __dadd_rn(terms[column], terms[column + half]);
      __syncwarp();
    }
    if (lane == 0) {
      const double found = terms[0], product = values[slot];
      squares[slot] = found;
      const double distance = sqrt(found) * SCALE;
      const double square = fmax((3 * omega * half_squares[at] - product + TINY) / (1 - 2 * omega), 0.0);
      const double farthest = (sqrt(2 * square) * (1 + LAMBDA) + kappas[at]) * (1 + GUARD);
      const double nearest = (sqrt(2 * fmax(-product - TINY, 0.0)) * (1 - LAMBDA) * (1 - GUARD) - kappas[at]) * (1 - GUARD);
      if (!isnan(product) && (distance > farthest * (1 + GUARD) || distance < nearest * (1 - GUARD))) doubted[at] = 1;
    }
    __syncwarp();  // the terms are used again
  }
}
