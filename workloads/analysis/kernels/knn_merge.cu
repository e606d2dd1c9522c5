// The k nearest by (square, row id) of each listed row, from those known and from its candidates; takes the candidates away.
//
// Aim: device-memory bandwidth: one warp holds a row's candidates in registers and reads each once, 12 bytes, besides a gathered id; k rounds
// of a warp-wide minimum follow.
// Deterministic to the bit: (square, id) orders all rows.

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / 32;  // rows per block; kernels_cupy.py has the same figure
constexpr int CAPACITY = 256;        // candidates.py has the same figure
constexpr int HELD = CAPACITY / 32;
constexpr unsigned ALL = 0xffffffffu;
constexpr long long NOBODY = 0x7fffffffffffffffLL;
constexpr double SCALE = 1.0 / 64, LAMBDA = 1.0 / 2048 + 1.0 / 8388608, TINY = 1.0 / (1LL << 50) / (1LL << 50), GUARD = 1.0 / (1LL << 40);
constexpr double UNBOUNDED = 3.4028234663852886e38;

__device__ bool before(double square, long long id, double other_square, long long other_id) {
  return square < other_square || (square == other_square && id < other_id);
}

// Grid (listed / WARPS rounded up). Dynamic shared memory: WARPS * k * 16 bytes. squares, beside: (rows, CAPACITY) by position in the query.
// query_ids, data_ids: row numbers. known_squares, known_ids: (rows, k), sorted, replaced. count, committed: become 0. limits: lowered by the exact k-th distance.
extern "C" __global__ void __launch_bounds__(THREADS)
    knn_merge(const int* __restrict__ list, int listed, int k, const double* __restrict__ squares, const int* __restrict__ beside,
              const long long* __restrict__ query_ids, const long long* __restrict__ data_ids, const double* __restrict__ kappas, double* known_squares, long long* known_ids,
              float* limits, int* count, int* committed) {
  extern __shared__ double memory[];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, entry = blockIdx.x * WARPS + warp;
  if (entry >= listed) return;
  double* old_squares = memory + warp * k;
  long long* old_ids = reinterpret_cast<long long*>(memory + WARPS * k) + warp * k;
  const int at = list[entry], candidates = count[at];
  const long long row = static_cast<long long>(at) * CAPACITY, known = static_cast<long long>(at) * k;
  const double infinity = __longlong_as_double(0x7ff0000000000000LL);  // NVRTC has no INFINITY without headers
  for (int place = lane; place < k; place += 32) {
    old_squares[place] = known_squares[known + place];
    old_ids[place] = known_ids[known + place];
  }
  __syncwarp();
  double held[HELD];
  long long ids[HELD];
#pragma unroll
  for (int i = 0; i < HELD; ++i) {
    const bool inside = i * 32 + lane < candidates;
    ids[i] = inside ? data_ids[beside[row + i * 32 + lane]] : NOBODY;
    if (ids[i] == query_ids[at]) ids[i] = NOBODY;  // nobody is their own neighbour
    held[i] = ids[i] == NOBODY ? infinity : squares[row + i * 32 + lane];
  }
  double last = infinity;
  int next = 0;
  for (int place = 0; place < k; ++place) {
    double best = held[0];
    long long best_id = ids[0];
#pragma unroll
    for (int i = 1; i < HELD; ++i) {
      if (before(held[i], ids[i], best, best_id)) best = held[i], best_id = ids[i];
    }
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      const double other = __shfl_xor_sync(ALL, best, distance);
      const long long other_id = __shfl_xor_sync(ALL, best_id, distance);
      if (before(other, other_id, best, best_id)) best = other, best_id = other_id;
    }
    if (before(best, best_id, old_squares[next], old_ids[next])) {
#pragma unroll
      for (int i = 0; i < HELD; ++i) {
        if (ids[i] == best_id) held[i] = infinity, ids[i] = NOBODY;
      }
    } else {
      best = old_squares[next];
      best_id = old_ids[next];
      ++next;
    }
    if (lane == 0) {
      known_squares[known + place] = best;
      known_ids[known + place] = best_id;
    }
    last = best;
  }
  if (lane > 0) return;
  const double reach = (sqrt(last) * SCALE + kappas[at]) / (1 - LAMBDA);
  limits[at] = fmaxf(limits[at], -__double2float_ru(fmin(0.5 * reach * reach * (1 + 4 * GUARD) + TINY, UNBOUNDED)));
  count[at] = 0;
  committed[at] = 0;
}
