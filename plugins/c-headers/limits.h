// The little of <limits.h> that the grammar needs, in the compiler's own words.
#ifdef __wasm__
#pragma once
#define INT_MAX __INT_MAX__
#define UINT_MAX (__INT_MAX__ * 2U + 1U)
#define USHRT_MAX (__SHRT_MAX__ * 2 + 1)
#else
#include_next <limits.h>
#endif
