// What passes.c and products.c share.

#ifndef PASSES_H
#define PASSES_H

#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

// Cuts the columns of some rows into 3 or 4 slices (`count`) of whole numbers, as joint.py says.
// values: columns, `pitch` apart. slices: those of the highest bits first, `apart` from one another,
// in each the columns, `column_pitch` apart.
void cut_slices(const double* values, size_t columns, size_t rows, size_t pitch,
                const double* scales, const double* centres, double step, int count, double* slices,
                size_t apart, size_t column_pitch);

#endif
