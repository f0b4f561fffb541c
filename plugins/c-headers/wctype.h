// The little of <wctype.h> that the grammar needs.
#ifdef __wasm__
#pragma once
typedef __WINT_TYPE__ wint_t;
int iswalnum(wint_t character);
int iswspace(wint_t character);
#else
#include_next <wctype.h>
#endif
