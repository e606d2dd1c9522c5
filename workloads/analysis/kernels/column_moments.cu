// Count, gaps, minimum, maximum, mean and centred sums to the fourth power of each column, slice by slice.
//
// Aim: device-memory bandwidth. Every value is read once (4 bytes) into shared memory and passed over twice there; some 8 FP64 operations
// per value, 2 operations per byte, stay below what the FP64 pipes of sm_80, sm_90 and sm_100 do at full bandwidth.
// Deterministic: each thread has fixed rows, sums run through a fixed tree, and slices are merged by the host in a fixed order.

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / 32;
constexpr int SLICE = 8192;  // rows; leaf_cupy.py has the same figure
constexpr unsigned ALL = 0xffffffffu;

struct Add {
  __device__ double operator()(double a, double b) const { return a + b; }
};
struct Least {
  __device__ double operator()(double a, double b) const { return fmin(a, b); }
};
struct Most {
  __device__ double operator()(double a, double b) const { return fmax(a, b); }
};

// The same value on every thread; `scratch` holds one double per warp.
template <typename Operation>
__device__ double reduce(double value, double* scratch, Operation operation) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) value = operation(value, __shfl_down_sync(ALL, value, distance));
  __syncthreads();  // the reader of an earlier result may still need the scratch
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  double total = scratch[0];
#pragma unroll
  for (int warp = 1; warp < WARPS; ++warp) total = operation(total, scratch[warp]);
  return total;
}

// Grid (slices, columns). values: (columns, rows) in C order. result: (10, slices, columns) of doubles in the order of the writes below.
extern "C" __global__ void __launch_bounds__(THREADS) column_moments(const float* __restrict__ values, long long rows, double* result) {
  __shared__ float slice[SLICE];
  __shared__ double scratch[WARPS];
  const long long first = static_cast<long long>(blockIdx.x) * SLICE;
  const int size = static_cast<int>(min(static_cast<long long>(SLICE), rows - first));
  const float* column = values + blockIdx.y * rows + first;

  const double infinity = __longlong_as_double(0x7ff0000000000000LL);  // NVRTC has no INFINITY without headers
  double finite = 0, missing = 0, sum = 0, least = infinity, most = -infinity;
  for (int row = threadIdx.x; row < size; row += THREADS) {
    const float value = column[row] + 0.0f;  // minus zero becomes zero
    slice[row] = value;
    if (isfinite(value)) {
      finite += 1;
      sum += value;
      least = fmin(least, static_cast<double>(value));
      most = fmax(most, static_cast<double>(value));
    } else if (isnan(value)) {
      missing += 1;
    }
  }
  const double count = reduce(finite, scratch, Add());
  const double gaps = reduce(missing, scratch, Add());
  const double minimum = reduce(least, scratch, Least());
  const double maximum = reduce(most, scratch, Most());
  const double divisor = fmax(count, 1.0);
  const double mean = reduce(sum, scratch, Add()) / divisor;

  double residue = 0, second = 0, third = 0, fourth = 0;
  for (int row = threadIdx.x; row < size; row += THREADS) {  // each thread reads what it wrote
    const float value = slice[row];
    if (!isfinite(value)) continue;
    const double centred = value - mean, square = centred * centred;
    residue += centred;
    second += square;
    third += square * centred;
    fourth += square * square;
  }
  const double rest = reduce(residue, scratch, Add());
  const double s2 = reduce(second, scratch, Add());
  const double s3 = reduce(third, scratch, Add());
  const double s4 = reduce(fourth, scratch, Add());
  if (threadIdx.x > 0) return;

  // the mean is rounded: say by how much, and move the sums to the true one
  const double step = rest / divisor;
  const long long columns = gridDim.y, plane = gridDim.x * columns;
  double* out = result + blockIdx.x * columns + blockIdx.y;
  out[0 * plane] = count;
  out[1 * plane] = gaps;
  out[2 * plane] = size - count - gaps;
  out[3 * plane] = minimum;
  out[4 * plane] = maximum;
  out[5 * plane] = mean;
  out[6 * plane] = step;
  out[7 * plane] = s2 - step * rest;
  out[8 * plane] = s3 - 3 * step * s2 + 2 * count * step * step * step;
  out[9 * plane] = s4 - 4 * step * s3 + 6 * step * step * s2 - 3 * count * step * step * step * step;
}
