// Sums of products of a tile's slices (joint.py). Nothing is rounded in them, so that their order
// is free, and a product and a sum may become one operation. Some rows are cut and then multiplied
// while they are in the processor's cache; limit: its arithmetic.

#include <stdint.h>
#include <string.h>

#include "passes.h"

#define DEPTH 512          // rows at a time: three slices of 64 columns are 800 KB
#define APART (DEPTH + 8)  // no power of two: columns would push one another out of the cache
#define PANEL 8            // groups of columns that stay near while the others pass
#define MOST 8             // rows of a register, and columns of a group, at most

// A matrix of sums, rows `pitch` apart.
typedef struct {
  int64_t* sums;
  size_t pitch;
} Sums;

INLINE size_t least(size_t one, size_t other) { return one < other ? one : other; }

#define LANES 2
#if defined(__aarch64__)
#define SIDE 4
#else
#define SIDE 3
#endif
#define NAME(WHAT) any_##WHAT
#define TARGET
#include "products_of_width.h"

#if defined(__x86_64__)
#define LANES 4
#define SIDE 3
#define NAME(WHAT) avx2_##WHAT
#define TARGET __attribute__((target("avx2,fma")))
#include "products_of_width.h"

#define LANES 8
#define SIDE 5
#define NAME(WHAT) avx512_##WHAT
#define TARGET __attribute__((target("avx512f")))
#include "products_of_width.h"
#endif

typedef struct {
  void (*multiply)(const double*, const double*, size_t, size_t, int, Sums);
  void (*add_columns)(const double*, size_t, size_t, int64_t*);
} Width;

static Width widest(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return (Width){avx512_multiply, avx512_add_columns};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return (Width){avx2_multiply, avx2_add_columns};
#endif
  return (Width){any_multiply, any_add_columns};
}

// Values that add_tile needs for slices of so many columns. A group of columns may reach beyond the
// last one; what it finds there is not taken.
static size_t slice_size(size_t columns) { return (columns + MOST) * APART; }
size_t tile_memory(size_t columns) { return 4 * slice_size(columns); }

// Adds a tile's sums of columns and of products to those of joint.JointSums, of which it leaves out
// what is below the diagonal of `products`. values, scales, centres, step and count as for
// cut_slices. memory: tile_memory(columns) values.
void add_tile(const double* values, size_t columns, size_t rows, size_t pitch, const double* scales,
              const double* centres, double step, int count, double* memory, int64_t* products,
              int64_t* low_products, int64_t* least_products) {
  const Width of = widest();
  const size_t size = slice_size(columns), both = 2 * columns + 1;
  const double *high = memory, *middle = high + size, *low = middle + size, *last = low + size;
  for (size_t start = 0; start < rows; start += DEPTH) {
    const size_t some = least(DEPTH, rows - start), whole = (some + MOST - 1) / MOST * MOST;
    cut_slices(values + start, columns, some, pitch, scales, centres, step, count, memory, size,
               APART);
    for (size_t column = 0; whole > some && column < count * (size / APART); column++)
      memset(memory + column * APART + some, 0, (whole - some) * sizeof(double));
    of.add_columns(high, columns, whole, products + 1);
    of.add_columns(middle, columns, whole, products + 1 + columns);
    of.add_columns(low, columns, whole, low_products);
    int64_t* const squares = products + both + 1;
    of.multiply(high, high, columns, whole, 1, (Sums){squares, both});
    of.multiply(high, middle, columns, whole, 0, (Sums){squares + columns, both});
    of.multiply(middle, middle, columns, whole, 1, (Sums){squares + columns * (both + 1), both});
    of.multiply(high, low, columns, whole, 0, (Sums){low_products + columns, columns});
    if (count == 3) continue;
    of.add_columns(last, columns, whole, least_products);
    of.multiply(middle, low, columns, whole, 0, (Sums){least_products + columns, columns});
    of.multiply(high, last, columns, whole, 0, (Sums){least_products + columns, columns});
  }
}
