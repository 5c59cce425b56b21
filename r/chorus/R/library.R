# The library, its handles, and its failures as conditions of R.

.state <- new.env(parent = emptyenv())

.onLoad <- function(libname, pkgname) {
  path <- Sys.getenv("CHORUS_LIBRARY")
  if (!nzchar(path)) path <- system.file("native", "libchorus.so", package = pkgname, lib.loc = libname)
  if (!nzchar(path)) path <- "libchorus.so"
  problem <- .Call(r_open_library, path)
  # Said when something is asked for: a package that cannot be loaded cannot tell of its variables either.
  .state$problem <- if (is.null(problem)) NULL else {
    paste0("libchorus.so cannot be used: ", problem, "; name it by CHORUS_LIBRARY, or by CHORUS_BUNDLE while the package is installed")
  }
  .state$models <- list()
}

.needed <- function() {
  if (!is.null(.state$problem)) .fail(66L, .state$problem)
}

.kinds_of_failure <- c("64" = "usage", "65" = "data", "66" = "missing", "70" = "internal", "74" = "access")

# Ends with a condition of class chorus_error, and of a class for its kind, as chorus_data_error.
.fail <- function(code, words) {
  if (code == 130L) {
    signalCondition(structure(class = c("interrupt", "condition"), list(message = "", call = NULL)))
    invokeRestart("abort")
  }
  kind <- .kinds_of_failure[as.character(code)]
  kind <- if (is.na(kind)) "internal" else kind
  stop(structure(
    class = c(paste0("chorus_", kind, "_error"), "chorus_error", "error", "condition"),
    list(message = words, call = NULL, code = code)
  ))
}

.usage <- function(...) .fail(64L, paste0(...))

# What a call of the library has answered, without its code and with its notes.
.answered <- function(answer) {
  if (answer[[1L]] != 0L) .fail(answer[[1L]], answer[[2L]])
  list(notes = answer[[2L]], value = answer[-(1:2)])
}

chorus_version <- function() {
  .needed()
  .Call(r_version)
}

# The library's model, opened once a process.
.model <- function(name, threads) {
  .needed()
  key <- paste(name, threads)
  pointer <- .state$models[[key]]
  if (is.null(pointer) || !.Call(r_is_alive, pointer)) {
    pointer <- .answered(.Call(r_open, name, threads))$value[[1L]]
    .state$models[[key]] <- pointer
  }
  pointer
}

# The model that is asked of categories: the network, or where that is not at hand the estimators that it judges.
.of_categories <- function(threads) {
  tryCatch(
    {
      .model("classes", threads)
      "classes"
    },
    chorus_missing_error = function(failure) {
      # Without a library nothing is at hand, which is said where the rows are read.
      if (is.null(.state$problem)) {
        warning(
          "the model 'classes' is not at hand, so levels are said by estimators alone, each row by itself; model = \"tables\" asks for that",
          call. = FALSE
        )
      }
      "tables"
    }
  )
}

# The library's posterior of a fit; made anew in a child process and in a later session.
.posterior <- function(fit) {
  pointer <- fit$handle$pointer
  if (is.null(pointer) || !.Call(r_is_alive, pointer)) {
    model <- .model(fit$model, fit$threads)
    read <- .answered(if (!is.null(fit$file)) .Call(r_load, model, fit$file) else .Call(
      r_condition, model, fit$rows$x, fit$rows$y, fit$columns$kinds, c(fit$columns$names, fit$target$name),
      length(fit$target$levels), fit$scale, fit$bounds, fit$asked, fit$series, fit$rows$errors
    ))
    pointer <- read$value[[1L]]
    for (one in fit$since) {
      pointer <- .answered(if (is.null(one$rows)) {
        .Call(r_given, pointer, one$subject, one$bounds)
      } else {
        .Call(r_append, pointer, one$rows$x, one$rows$y, length(fit$columns$names))
      })$value[[1L]]
    }
    fit$handle$pointer <- pointer
    fit$handle$notes <- read$notes
  }
  pointer
}

.whole <- function(value, name, least) {
  if (!is.numeric(value) || length(value) != 1L || is.na(value) || value != round(value) || value < least || value > 2^53) {
    .usage(name, " is ", paste(format(value), collapse = ", "), "; give one whole number, ", least, " or more")
  }
  as.double(value)
}

.levels_of_quantiles <- function(quantiles) {
  if (!is.numeric(quantiles) || anyNA(quantiles)) .usage("quantiles are numbers between 0 and 1")
  as.double(quantiles)
}
