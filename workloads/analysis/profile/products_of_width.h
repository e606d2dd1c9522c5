// products.c for one width of registers: LANES values, and SIDE by SIDE columns at a time, whose
// sums and one side of whose values fit the registers. NAME(x) is the name of x for this width,
// TARGET the attribute of functions that use such registers.

typedef double NAME(Lanes) __attribute__((vector_size(8 * LANES), aligned(8)));

INLINE double NAME(sum)(const NAME(Lanes)* values) {
  double sum = (*values)[0];
  for (int lane = 1; lane < LANES; lane++) sum += (*values)[lane];
  return sum;
}

// The first `height` of SIDE columns by the first `width` of as many.
TARGET INLINE void NAME(multiply_block)(const double* left, const double* right, size_t rows,
                                        size_t height, size_t width, Sums to) {
  NAME(Lanes) found[SIDE][SIDE] = {{{0}}};
  for (size_t row = 0; row < rows; row += LANES) {
    NAME(Lanes) one[SIDE];
    for (size_t i = 0; i < SIDE; i++) one[i] = *(const NAME(Lanes)*)(left + i * APART + row);
    for (size_t j = 0; j < SIDE; j++) {
      const NAME(Lanes) other = *(const NAME(Lanes)*)(right + j * APART + row);
      for (size_t i = 0; i < SIDE; i++) found[i][j] += one[i] * other;
    }
  }
  for (size_t i = 0; i < SIDE; i++)
    for (size_t j = 0; j < SIDE; j++)
      if (i < height && j < width) to.sums[i * to.pitch + j] += (int64_t)NAME(sum)(&found[i][j]);
}

// Of all columns of two slices; with `half`, those on the diagonal and above it, at least.
TARGET static void NAME(multiply)(const double* left, const double* right, size_t columns,
                                  size_t rows, int half, Sums to) {
  for (size_t panel = 0; panel < columns; panel += PANEL * SIDE) {
    const size_t stop = least(panel + PANEL * SIDE, columns);
    for (size_t i = 0; i < (half ? stop : columns); i += SIDE)
      for (size_t j = half && i > panel ? i : panel; j < stop; j += SIDE)
        NAME(multiply_block)(left + i * APART, right + j * APART, rows, least(SIDE, columns - i),
                             least(SIDE, stop - j), (Sums){to.sums + i * to.pitch + j, to.pitch});
  }
}

// Adds up each column of a slice.
TARGET static void NAME(add_columns)(const double* slice, size_t columns, size_t rows,
                                     int64_t* to) {
  for (size_t column = 0; column < columns; column += SIDE) {
    NAME(Lanes) found[SIDE] = {{0}};
    for (size_t row = 0; row < rows; row += LANES)
      for (size_t i = 0; i < SIDE; i++)
        found[i] += *(const NAME(Lanes)*)(slice + (column + i) * APART + row);
    for (size_t i = 0; i < least(SIDE, columns - column); i++)
      to[column + i] += (int64_t)NAME(sum)(&found[i]);
  }
}

#undef LANES
#undef SIDE
#undef NAME
#undef TARGET
