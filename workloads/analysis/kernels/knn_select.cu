// After a range of data rows: lowers what each listed row still takes in, by the k-th best of its candidates, and drops the others.
//
// Aim: device-memory bandwidth. One warp holds the at most 256 candidates of a row in registers, reads and writes each once; the k-th best is
// found bit by bit with 32 warp-wide counts, whatever k is.
// Deterministic as a set: which candidates stay does not depend on their order. The arithmetic of the bounds is that of bounds_fp16.py, whose
// guards cover the different rounding.

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / 32;  // rows per block; kernels_cupy.py has the same figure
constexpr int CAPACITY = 256;        // candidates.py has the same figure
constexpr int HELD = CAPACITY / 32;
constexpr unsigned ALL = 0xffffffffu;
constexpr double LAMBDA = 1.0 / 2048 + 1.0 / 8388608, TINY = 1.0 / (1LL << 50) / (1LL << 50), GUARD = 1.0 / (1LL << 40);
constexpr double UNBOUNDED = 3.4028234663852886e38;

// Order-preserving: 0 only for what is no number.
__device__ unsigned key_of(float value) {
  const unsigned bits = __float_as_uint(value);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ float value_of(unsigned key) { return __uint_as_float(key >> 31 ? key & 0x7fffffffu : ~key); }

// Grid (listed / WARPS rounded up). count, committed, limits, half_squares, kappas: (rows,) by position in the query, rows listed in `list`.
// values, beside: (rows, CAPACITY). overflowed: (listed,) 1 where more came than fitted: then what came since the last call is dropped,
// and the caller compares the range again, with the lower limit.
extern "C" __global__ void __launch_bounds__(THREADS)
    knn_select(const int* __restrict__ list, int listed, int k, double omega, const double* __restrict__ half_squares,
               const double* __restrict__ kappas, float* limits, int* count, int* committed, float* values, int* beside,
               unsigned char* overflowed) {
  const int lane = threadIdx.x % 32, entry = blockIdx.x * WARPS + threadIdx.x / 32;
  if (entry >= listed) return;
  const int at = list[entry], came = count[at], stored = min(came, CAPACITY);
  const long long row = static_cast<long long>(at) * CAPACITY;
  float held[HELD];
  int other[HELD];
#pragma unroll
  for (int i = 0; i < HELD; ++i) {
    const int place = i * 32 + lane;
    held[i] = place < stored ? values[row + place] : 0.0f;
    other[i] = place < stored ? beside[row + place] : 0;
  }
  float limit = limits[at];
  if (stored >= k) {
    unsigned found = 0;
    for (int bit = 31; bit >= 0; --bit) {
      const unsigned trial = found | 1u << bit;
      unsigned reached = 0;
#pragma unroll
      for (int i = 0; i < HELD; ++i) reached += i * 32 + lane < stored && key_of(held[i]) >= trial;
      if (__reduce_add_sync(ALL, reached) >= static_cast<unsigned>(k)) found = trial;
    }
    const double square = fmax((3 * omega * half_squares[at] - value_of(found) + TINY) / (1 - 2 * omega), 0.0);
    const double farthest = (sqrt(2 * square) * (1 + LAMBDA) + kappas[at]) * (1 + GUARD);
    const double reach = (farthest + kappas[at]) / (1 - LAMBDA);
    limit = fmaxf(limit, -__double2float_ru(fmin(0.5 * reach * reach * (1 + 4 * GUARD) + TINY, UNBOUNDED)));
  }
  const int eligible = came > CAPACITY ? committed[at] : stored;
  int kept = 0;
#pragma unroll
  for (int i = 0; i < HELD; ++i) {
    const bool keep = i * 32 + lane < eligible && held[i] >= limit;
    const unsigned votes = __ballot_sync(ALL, keep);
    if (keep) {
      const long long slot = row + kept + __popc(votes & ((1u << lane) - 1));
      values[slot] = held[i];
      beside[slot] = other[i];
    }
    kept += __popc(votes);
  }
  if (lane > 0) return;
  limits[at] = limit;
  count[at] = kept;
  committed[at] = kept;
  overflowed[entry] = came > CAPACITY;
}
