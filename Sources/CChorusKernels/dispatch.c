#include "chorus_kernels.h"
