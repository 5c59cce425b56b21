// What every processor of the family runs, without fused multiply-add: the yardstick of the others.
#include "instances.h"

#define CK_TABLE ck_table_baseline
#define CK_ISA CK_BASELINE
#define CK_FMA 0
#define CK_PAIRS 0
#define CK_TILES 0
#define CK_LANES 8
#define CK_ROWS 2
#define CK_PANELS 1
#include "body/table.h"
