#include "instances.h"

#if defined(__aarch64__)
#define CK_TABLE ck_table_neon
#define CK_ISA CK_NEON
#define CK_FMA 1
#define CK_PAIRS 0
#define CK_TILES 0
#define CK_LANES 8
#define CK_ROWS 6
#define CK_PANELS 1
#include "body/table.h"
#endif
