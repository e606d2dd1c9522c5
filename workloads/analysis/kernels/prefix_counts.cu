// Counts of the upper 18 bits of every finite float64: the quantile sketch.
//
// Aim: device-memory bandwidth (8 bytes per value). A column's counters are 2 MiB, more than shared memory holds; they stay in L2, and
// neighbouring values of one bin are added up within a warp before they get there.
// Deterministic: integers add up in any order.

constexpr int THREADS = 256;
constexpr int SHIFT = 46;  // sketch.py has the same figure
constexpr int HALF = 1 << (63 - SHIFT);
constexpr int FINITE = 2047 << (52 - SHIFT);  // bins of one sign below infinity

// Grid (chunks, columns). values: (columns, rows) in C order. histogram: (columns, 2 * HALF) by bin in order of value, added to.
extern "C" __global__ void __launch_bounds__(THREADS)
    prefix_counts(const unsigned long long* __restrict__ values, long long rows, long long chunk_rows, long long* histogram) {
  const unsigned long long* column = values + blockIdx.y * rows;
  unsigned long long* out = reinterpret_cast<unsigned long long*>(histogram) + static_cast<long long>(blockIdx.y) * 2 * HALF;
  const long long first = blockIdx.x * chunk_rows, last = min(first + chunk_rows, rows);
  for (long long row = first + threadIdx.x; row < last; row += THREADS) {
    const unsigned long long bits = column[row];
    const int magnitude = static_cast<int>(bits >> SHIFT) & (HALF - 1);
    if (magnitude >= FINITE) continue;
    const int bin = bits >> 63 ? HALF - 1 - magnitude : HALF + magnitude;
    const unsigned together = __match_any_sync(__activemask(), bin);
    if (__ffs(together) - 1 == static_cast<int>(threadIdx.x % 32)) atomicAdd(&out[bin], static_cast<unsigned long long>(__popc(together)));
  }
}
