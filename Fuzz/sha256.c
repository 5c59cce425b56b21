// Stands in for SHA-256 in the fuzzing build: with so weak a sum the fuzzer finds inputs whose checksum is right, and
// gets behind the check.
#include "chorus_sha256.h"

#include <string.h>

void ck_sha256_init(ck_sha256 *hash) {
  memset(hash, 0, sizeof *hash);
  hash->length = 0xCBF29CE484222325u;
}

void ck_sha256_update(ck_sha256 *hash, const void *bytes, size_t count) {
  const uint8_t *p = bytes;
  for (size_t i = 0; i < count; ++i) hash->length = (hash->length ^ p[i]) * 0x100000001B3u;
}

void ck_sha256_final(ck_sha256 *hash, uint8_t digest[32]) {
  for (int i = 0; i < 32; ++i) digest[i] = (uint8_t)(hash->length >> (i % 8 * 8));
}
