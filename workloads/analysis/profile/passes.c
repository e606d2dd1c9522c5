// What the profile does to every value of a unit, in one read of it where NumPy takes eight to
// twelve. Limit: the processor's arithmetic; columns of a unit come from memory twice.
//
// The bits are those of the NumPy expressions in powers.py, joint.py and sketch.py: the same
// operations in the same order, each rounded on its own. It must not be compiled with fast
// mathematics, nor so that a product and a sum become one operation; compiled.py says how.

#include "passes.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

// One copy of a loop for each width of registers; the processor's is taken when the library is
// loaded. Elementwise operations have the same result in all of them.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDTHS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDTHS
#endif

#define SHIFT 46  // sketch.py has the same figure

// Slices of one column of a tile (joint.py), the highest first.
INLINE void cut_column(const double* x, size_t rows, double scale, double centre, double step,
                       double* restrict high, double* restrict middle, double* restrict low,
                       double* restrict last) {
  for (size_t row = 0; row < rows; row++) {
    double rest = x[row] * scale;
    double whole = rint(rest);
    rest = (rest - whole) * step;
    high[row] = whole - centre;
    whole = rint(rest);
    rest = (rest - whole) * step;
    middle[row] = whole;
    whole = rint(rest);
    low[row] = whole;
    if (last) last[row] = rint((rest - whole) * step);
  }
}

WIDTHS void cut_slices(const double* values, size_t columns, size_t rows, size_t pitch,
                       const double* scales, const double* centres, double step, int count,
                       double* slices, size_t apart, size_t column_pitch) {
  for (size_t column = 0; column < columns; column++) {
    const double* x = values + column * pitch;
    double* high = slices + column * column_pitch;
    double *middle = high + apart, *low = middle + apart, *last = low + apart;
    const double scale = scales[column], centre = centres[column];
    if (count == 4)
      cut_column(x, rows, scale, centre, step, high, middle, low, last);
    else
      cut_column(x, rows, scale, centre, step, high, middle, low, NULL);
  }
}

typedef struct {
  double cube, fourth, pair, square, beside, whole;  // in the order of powers.py
} Terms;

// y of a value (powers.py). With `lower`, by way of the whole number below it.
INLINE double centred(double value, double scale, double centre, int lower) {
  const double scaled = value * scale;
  if (!lower) return scaled - centre;
  const double whole = rint(scaled);
  return (whole - centre) + (scaled - whole);
}

// Of a row and the one after it. Without `lower` the last three are not asked for.
INLINE Terms terms_of(double value, double next, double scale, double centre, int lower) {
  const double y = centred(value, scale, centre, lower), square = y * y;
  const double scaled = value * scale, whole = rint(scaled);
  return (Terms){
      .cube = square * y,
      .fourth = square * square,
      .pair = y * centred(next, scale, centre, lower),
      .square = square,
      .beside = scaled - whole,
      .whole = whole - centre,
  };
}

// Rows x and the rows y, folded onto them; both have a row after their last one.
INLINE void fold_rows(const double* x, const double* y, size_t rows, double scale, double centre,
                      int lower, double* restrict cube, double* restrict fourth,
                      double* restrict pair, double* restrict square, double* restrict beside,
                      double* restrict whole) {
  for (size_t row = 0; row < rows; row++) {
    const Terms one = terms_of(x[row], x[row + 1], scale, centre, lower);
    const Terms other = terms_of(y[row], y[row + 1], scale, centre, lower);
    cube[row] = one.cube + other.cube;
    fourth[row] = one.fourth + other.fourth;
    pair[row] = one.pair + other.pair;
    if (!lower) continue;
    square[row] = one.square + other.square;
    beside[row] = one.beside + other.beside;
    whole[row] = one.whole + other.whole;
  }
}

WIDTHS static void fold_higher(const double* x, size_t rows, size_t half, double scale,
                               double centre, double* t) {
  fold_rows(x, x + half, rows, scale, centre, 0, t, t + half, t + 2 * half, NULL, NULL, NULL);
}

WIDTHS static void fold_all(const double* x, size_t rows, size_t half, double scale, double centre,
                            double* t) {
  fold_rows(x, x + half, rows, scale, centre, 1, t, t + half, t + 2 * half, t + 3 * half,
            t + 4 * half, t + 5 * half);
}

WIDTHS static void fold_halves(double* terms, size_t half, size_t count) {
  for (size_t row = 0; row < count; row++) terms[row] += terms[half + row];
}

// Partial sums of a column's terms (folds.py), 3 kinds or with `lower` 6 (columns of more than two
// rows). terms: memory for as many times half the rows. partials: at most `limit` of each kind, one
// kind after the other. Returns how many.
size_t fold_powers(const double* x, size_t rows, double scale, double centre, int lower,
                   size_t limit, double* terms, double* partials) {
  const size_t half = (rows + 1) / 2, others = rows - half;
  const int kinds = lower ? 6 : 3;
  (lower ? fold_all : fold_higher)(x, others - 1, half, scale, centre, terms);
  // the last row has none after it, and the row before the second half may have none to add
  for (size_t row = others - 1; row < half; row++) {
    const size_t other = row + half;
    Terms t = terms_of(x[row], x[row + 1], scale, centre, lower);
    if (other < rows) {
      const int last = other + 1 == rows;
      const Terms more = terms_of(x[other], x[last ? other : other + 1], scale, centre, lower);
      t = (Terms){t.cube + more.cube,     t.fourth + more.fourth, t.pair + (last ? 0.0 : more.pair),
                  t.square + more.square, t.beside + more.beside, t.whole + more.whole};
    }
    const double found[] = {t.cube, t.fourth, t.pair, t.square, t.beside, t.whole};
    for (int kind = 0; kind < kinds; kind++) terms[kind * half + row] = found[kind];
  }
  size_t width = half;
  while (width > limit) {
    const size_t next = (width + 1) / 2;
    for (int kind = 0; kind < kinds; kind++) fold_halves(terms + kind * half, next, width - next);
    width = next;
  }
  for (int kind = 0; kind < kinds; kind++)
    memcpy(partials + kind * width, terms + kind * half, width * sizeof(double));
  return width;
}

// Bins by magnitude, those of both signs beside each other (sketch.py). ends: first and last one.
WIDTHS void find_bins(const uint64_t* patterns, size_t rows, uint32_t* restrict bins,
                      uint32_t ends[2]) {
  uint32_t first = UINT32_MAX, last = 0;
  for (size_t row = 0; row < rows; row++) {
    const uint32_t magnitude = (uint32_t)(patterns[row] << 1 >> (SHIFT + 1));
    const uint32_t bin = magnitude << 1 | (uint32_t)(patterns[row] >> 63);
    bins[row] = bin;
    first = bin < first ? bin : first;
    last = bin > last ? bin : last;
  }
  ends[0] = first;
  ends[1] = last;
}

// counts: of the bins from `first` on.
void count_bins(const uint32_t* bins, size_t rows, uint32_t first, int64_t* counts) {
  for (size_t row = 0; row < rows; row++) counts[bins[row] - first]++;
}
