// The little of <ctype.h> that the grammar needs.
#ifdef __wasm__
#pragma once
int isprint(int character);
#else
#include_next <ctype.h>
#endif
