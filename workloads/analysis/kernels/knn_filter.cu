// All products of a list of query rows with a range of data rows on the tensor cores; pairs that reach their row's limit are appended to it.
//
// Aim: the FP16 tensor-core rate that mma.sync reaches (half to two thirds of the wgmma peak on sm_90), for DEPTH >= 64. No product is
// written to memory: 128 x 128 tiles need 2 * 128 * DEPTH bytes from L2 each, half an operation of the comparison per product, and the norms are
// the accumulators' start values. For DEPTH <= 32 the comparisons on the ordinary cores are the wall.
// Deterministic as a set: a product's bits depend on its two rows and DEPTH alone; the order in which pairs are appended does not, and nothing
// that is computed from them depends on it.
//
// DEPTH (a multiple of 16, at most 512) is set by the compiler option -DDEPTH=...

#ifndef DEPTH
#define DEPTH 64
#endif

constexpr int TILE = 128;    // rows on either side; kernels_cupy.py has the same figure
constexpr int THREADS = 256;  // 8 warps, 2 down and 4 across, with 64 x 32 products each
constexpr int STAGES = 3;
constexpr int CHUNK = DEPTH % 64 == 0 && DEPTH <= 384 ? 64 : DEPTH % 48 == 0 && DEPTH <= 48 ? 48 : DEPTH % 32 == 0 ? 32 : 16;
constexpr int CHUNKS = DEPTH / CHUNK;
// Rows in shared memory are an odd number of 16-byte units long: the eight rows that ldmatrix reads at once lie in different banks.
constexpr int QUERY_STRIDE = DEPTH + 8;
constexpr int DATA_STRIDE = CHUNK + 8;
constexpr int STAGE = TILE * DATA_STRIDE;

static_assert(DEPTH % CHUNK == 0 && CHUNK % 16 == 0);

using Half = unsigned short;  // NVRTC has no __half without headers, and nothing here computes with it

__device__ unsigned shared_address(const Half* pointer) { return static_cast<unsigned>(__cvta_generic_to_shared(pointer)); }

__device__ void copy_16_bytes(Half* to, const Half* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}

__device__ void load_matrices(unsigned (&found)[4], const Half* from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(found[0]), "=r"(found[1]), "=r"(found[2]), "=r"(found[3])
               : "r"(shared_address(from))
               : "memory");
}

__device__ void multiply(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Grid (any number of blocks that share the data tiles, tiles of the list). Dynamic shared memory: (TILE * QUERY_STRIDE + STAGES * STAGE) * 2 bytes.
// query: (rows, DEPTH) float16, 16-byte aligned. query_norms: (rows,) g. query_ids: (rows,). list: (listed,) positions in query.
// data, data_norms, data_ids: likewise; first and last: range of data rows, multiples of TILE. limits: (rows,) by position in query.
// count: (rows,) added to, beyond capacity too. values, beside: (rows, capacity) product and position in data.
// Rows with an infinite g have products of minus infinity and reach no limit: rows that fill up tiles, and rows outside float16's range.
extern "C" __global__ void __launch_bounds__(THREADS, DEPTH <= 256 ? 2 : 1)
    knn_filter(const Half* __restrict__ query, const float* __restrict__ query_norms, const long long* __restrict__ query_ids,
               const int* __restrict__ list, int listed, const Half* __restrict__ data, const float* __restrict__ data_norms,
               const long long* __restrict__ data_ids, int first, int last, const float* __restrict__ limits, int capacity, int* count,
               float* values, int* beside) {
  extern __shared__ __align__(16) Half memory[];
  __shared__ float tile_norms[TILE], tile_limits[TILE];
  Half* query_tile = memory;
  Half* data_tiles = memory + TILE * QUERY_STRIDE;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  const int down = warp / 4 * 64, across = warp % 4 * 32;
  const int list_start = blockIdx.y * TILE;

  for (int unit = thread; unit < TILE * (DEPTH / 8); unit += THREADS) {
    const int row = unit / (DEPTH / 8), place = unit % (DEPTH / 8) * 8;
    const int at = list[min(list_start + row, listed - 1)];
    copy_16_bytes(query_tile + row * QUERY_STRIDE + place, query + static_cast<long long>(at) * DEPTH + place);
  }
  if (thread < TILE) {
    const bool inside = list_start + thread < listed;
    const int at = list[min(list_start + thread, listed - 1)];
    tile_norms[thread] = inside ? query_norms[at] : __int_as_float(0x7f800000);
    tile_limits[thread] = limits[at];
  }

  const int tiles = (last - first) / TILE;
  const int mine = (tiles - static_cast<int>(blockIdx.x) + static_cast<int>(gridDim.x) - 1) / static_cast<int>(gridDim.x);
  const int steps = mine * CHUNKS;
  const auto tile_start = [&](int step) { return first + (static_cast<int>(blockIdx.x) + step / CHUNKS * static_cast<int>(gridDim.x)) * TILE; };
  const auto fetch = [&](int step) {
    if (step < steps) {
      const Half* from = data + static_cast<long long>(tile_start(step)) * DEPTH + step % CHUNKS * CHUNK;
      Half* to = data_tiles + step % STAGES * STAGE;
      for (int unit = thread; unit < TILE * (CHUNK / 8); unit += THREADS) {
        const int row = unit / (CHUNK / 8), place = unit % (CHUNK / 8) * 8;
        copy_16_bytes(to + row * DATA_STRIDE + place, from + static_cast<long long>(row) * DEPTH + place);
      }
    }
    asm volatile("cp.async.commit_group;" ::: "memory");  // also when empty: the count of groups below stays right
  };

  fetch(0);  // the query tile belongs to this group
  fetch(1);
  float sums[4][4][4];
  for (int step = 0; step < steps; ++step) {
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();  // what was fetched is there for all, and all have done with the stage that is filled next
    fetch(step + 2);
    const int chunk = step % CHUNKS, data_start = tile_start(step);
    if (chunk == 0) {
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        const float2 norms = *reinterpret_cast<const float2*>(data_norms + data_start + across + n * 8 + lane % 4 * 2);
#pragma unroll
        for (int m = 0; m < 4; ++m) {
          const float upper = tile_norms[down + m * 16 + lane / 4], lower = tile_norms[down + m * 16 + lane / 4 + 8];
          sums[m][n][0] = -(upper + norms.x);
          sums[m][n][1] = -(upper + norms.y);
          sums[m][n][2] = -(lower + norms.x);
          sums[m][n][3] = -(lower + norms.y);
        }
      }
    }
    const Half* query_part = query_tile + (down + lane % 16) * QUERY_STRIDE + chunk * CHUNK + lane / 16 * 8;
    const Half* data_part = data_tiles + step % STAGES * STAGE + (across + lane % 8 + lane / 16 * 8) * DATA_STRIDE + lane / 8 % 2 * 8;
#pragma unroll
    for (int k = 0; k < CHUNK; k += 16) {
      unsigned a[4][4], b[2][4];
#pragma unroll
      for (int m = 0; m < 4; ++m) load_matrices(a[m], query_part + m * 16 * QUERY_STRIDE + k);
#pragma unroll
      for (int n = 0; n < 2; ++n) load_matrices(b[n], data_part + n * 16 * DATA_STRIDE + k);
#pragma unroll
      for (int m = 0; m < 4; ++m) {
#pragma unroll
        for (int n = 0; n < 4; ++n) multiply(sums[m][n], a[m], b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
      }
    }
    if (chunk < CHUNKS - 1) continue;

#pragma unroll
    for (int m = 0; m < 4; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = down + m * 16 + half * 8 + lane / 4;
        const float limit = tile_limits[row];
        float most = sums[m][0][half * 2];
#pragma unroll
        for (int n = 0; n < 4; ++n) most = fmaxf(most, fmaxf(sums[m][n][half * 2], sums[m][n][half * 2 + 1]));
        if (!(most >= limit)) continue;
        const int at = list[list_start + row];  // a row beyond the list has an infinite g and does not come here
        const long long id = query_ids[at];
        unsigned passed = 0;
#pragma unroll
        for (int place = 0; place < 8; ++place) {
          const int other = data_start + across + place / 2 * 8 + lane % 4 * 2 + place % 2;
          if (sums[m][place / 2][half * 2 + place % 2] >= limit && data_ids[other] != id) passed |= 1u << place;
        }
        if (passed == 0) continue;
        long long free = atomicAdd(&count[at], __popc(passed));
#pragma unroll
        for (int place = 0; place < 8; ++place) {
          if (!(passed >> place & 1u)) continue;
          if (free < capacity) {
            const long long slot = static_cast<long long>(at) * capacity + free;
            values[slot] = sums[m][place / 2][half * 2 + place % 2];
            beside[slot] = data_start + across + place / 2 * 8 + lane % 4 * 2 + place % 2;
          }
          ++free;
        }
      }
    }
  }
}
