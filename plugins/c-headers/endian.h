// The little of <endian.h> that the grammar needs: wasm is little-endian.
#ifdef __wasm__
#pragma once
#define le16toh(value) (value)
#define be16toh(value) __builtin_bswap16(value)
#else
#include_next <endian.h>
#endif
