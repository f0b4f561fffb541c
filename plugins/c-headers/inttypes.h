// The little of <inttypes.h> that the grammar needs.
#ifdef __wasm__
#pragma once
#include <stdint.h>
#define PRId32 "d"
#else
#include_next <inttypes.h>
#endif
