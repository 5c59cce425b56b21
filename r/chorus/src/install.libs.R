# CHORUS_BUNDLE names a libchorus.so that is installed with the package, and the folder weights beside it.
libraries <- file.path(R_PACKAGE_DIR, paste0("libs", R_ARCH))
dir.create(libraries, recursive = TRUE, showWarnings = FALSE)
file.copy(Sys.glob(paste0("*", SHLIB_EXT)), libraries, overwrite = TRUE)
# What R CMD check reads of the objects.
if (file.exists("symbols.rds")) file.copy("symbols.rds", libraries, overwrite = TRUE)
bundle <- Sys.getenv("CHORUS_BUNDLE")
if (nzchar(bundle)) {
  weights <- file.path(dirname(bundle), "weights")
  if (!file.exists(bundle) || !dir.exists(weights)) {
    stop("CHORUS_BUNDLE: there is no ", bundle, ", or no folder weights beside it; tools/library makes both")
  }
  native <- file.path(R_PACKAGE_DIR, "native")
  dir.create(native, recursive = TRUE, showWarnings = FALSE)
  file.copy(bundle, file.path(native, "libchorus.so"), overwrite = TRUE)
  file.copy(weights, native, recursive = TRUE, overwrite = TRUE)
}
