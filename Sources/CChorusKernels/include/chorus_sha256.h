// SHA-256 (FIPS 180-4) of bytes that come in parts.
#ifndef CHORUS_SHA256_H
#define CHORUS_SHA256_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  uint32_t state[8];
  uint64_t length;
  uint8_t block[64];
} ck_sha256;

void ck_sha256_init(ck_sha256 *hash);
void ck_sha256_update(ck_sha256 *hash, const void *bytes, size_t count);
/// Writes the digest; the state is of no further use.
void ck_sha256_final(ck_sha256 *hash, uint8_t digest[32]);

/// The compression of whole blocks as every machine can do it, for tests beside the form in use.
void ck_sha256_blocks_portable(uint32_t state[8], const uint8_t *bytes, size_t blocks);

#ifdef __cplusplus
}
#endif
#endif
