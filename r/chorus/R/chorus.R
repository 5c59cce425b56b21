# Reading rows.

chorus <- function(x, ...) UseMethod("chorus")

chorus.formula <- function(x, data = environment(x), ...) {
  if (is.data.frame(data)) data <- as.data.frame(data)
  frame <- model.frame(x, data, na.action = na.pass, drop.unused.levels = TRUE)
  target <- model.response(frame)
  if (is.null(target)) .usage("the formula names no target; write it as y ~ x")
  own <- attr(frame, "terms")
  if (attr(own, "response") != 1L || ncol(frame) < 2L) .usage("the formula names no input; write it as y ~ x")
  name <- names(frame)[1L]
  fit <- .chorus(frame[-1L], frame[[1L]], name, ...)
  fit$terms <- own
  fit$call <- match.call()
  fit
}

chorus.default <- function(x, y, ...) {
  x <- .frame(x)
  if (length(y) != nrow(x)) .usage("x has ", nrow(x), " rows and y ", length(y), " values")
  fit <- .chorus(x, y, "y", ...)
  fit$call <- match.call()
  fit
}

.chorus <- function(
    x, y, name, model = "auto", scale = c("auto", "raw", "log", "root"), bounds = c(-Inf, Inf), asked = NULL, threads = 0L,
    series = FALSE, errors = NULL, ...) {
  if (...length()) .usage("chorus() has no argument '", names(list(...))[1L], "'")
  scale <- match.arg(scale)
  if (!is.numeric(bounds) || length(bounds) != 2L || anyNA(bounds) || bounds[1L] >= bounds[2L]) {
    .usage("bounds are two numbers, the least and the largest that a value can be")
  }
  threads <- as.integer(.whole(threads, "threads", 0))
  if (!is.null(dim(y))) .usage("'", name, "' has ", ncol(y), " columns; a target is one")
  is_category <- is.factor(y) || is.character(y)
  series <- isTRUE(series) || !is.null(errors)
  if (!is.null(errors) && (!is.numeric(errors) || length(errors) != length(y))) .usage("errors are numbers, one for each value")
  known <- !is.na(y)
  if (!is.null(errors)) errors <- as.double(errors[known])
  if (any(!known)) {
    x <- x[known, , drop = FALSE]
    y <- y[known]
  }
  columns <- .columns(x)
  target <- list(name = name, levels = if (is_category) levels(droplevels(as.factor(y))) else NULL)
  if (is_category && !length(target$levels)) .fail(65L, paste0("'", name, "' has no value"))
  cells <- .cells(x, columns)
  if (model == "auto") {
    is_plain <- !is_category && ncol(x) <= 3L && all(columns$kinds != .category) && all(is.finite(cells))
    model <- if (is_plain || series) "functions" else if (is_category) .of_categories(threads) else "tables"
  }
  fit <- structure(
    list(
      model = model, columns = columns, target = target, rows = list(x = cells, y = .values(y, target), errors = errors),
      scale = scale, series = series,
      bounds = as.double(bounds), asked = if (is.null(asked)) NULL else .cells(.frame(asked), columns), threads = threads,
      since = list(), handle = new.env(parent = emptyenv())
    ),
    class = "chorus"
  )
  .posterior(fit)
  fit
}

chorus_given <- function(object, subject, value = NULL, least = -Inf, most = Inf) {
  stopifnot(inherits(object, "chorus"))
  if (!is.null(value)) least <- most <- value
  if (!is.numeric(least) || !is.numeric(most) || length(least) != 1L || length(most) != 1L) {
    .usage("give value, or least and most, each one number")
  }
  if (!is.character(subject)) {
    subject <- if (is.data.frame(subject)) .cells(subject, object$columns) else if (.is_time(subject)) .days(subject) else as.double(subject)
    if (length(subject) != length(object$columns$names)) {
      .usage("an input has ", length(object$columns$names), " numbers, and ", length(subject), " are given")
    }
  } else if (length(subject) != 1L) {
    .usage("give the name of one number: sum, mean, max, min or difference")
  }
  one <- list(subject = subject, bounds = as.double(c(least, most)))
  informed <- .answered(.Call(r_given, .posterior(object), one$subject, one$bounds))
  .since(object, one, informed)
}

# The fit, and what has been said to it since its rows were read.
.since <- function(object, one, answered) {
  object$since <- c(object$since, list(one))
  object$handle <- list2env(list(pointer = answered$value[[1L]], notes = answered$notes), parent = emptyenv())
  object
}

chorus_append <- function(object, data) {
  stopifnot(inherits(object, "chorus"))
  y <- .values(.target(object, data, "data"), object$target)
  x <- .asked(object, data)
  width <- length(object$columns$names)
  known <- !is.na(y)
  rows <- list(x = x[rep(known, each = width)], y = y[known])
  if (!length(rows$y)) .fail(65L, paste0("no row of the data has a value of '", object$target$name, "'"))
  longer <- .answered(.Call(r_append, .posterior(object), rows$x, rows$y, width))
  .since(object, list(rows = rows), longer)
}

chorus_save <- function(object, file) {
  stopifnot(inherits(object, "chorus"))
  if (!is.character(file) || length(file) != 1L || is.na(file)) .usage("give the name of one file")
  .answered(.Call(r_save, .posterior(object), enc2utf8(file)))
  invisible(object)
}

# What a posterior has seen, as the library tells of it; the JSON is read by a package for that.
.described <- function(pointer) {
  if (!requireNamespace("jsonlite", quietly = TRUE)) .usage("the package jsonlite is needed to read a file of a context; install it")
  jsonlite::fromJSON(.Call(r_describe, pointer), simplifyDataFrame = FALSE)
}

chorus_load <- function(file, model = "functions", threads = 0L) {
  if (!is.character(file) || length(file) != 1L || is.na(file)) .usage("give the name of one file")
  threads <- as.integer(.whole(threads, "threads", 0))
  file <- enc2utf8(normalizePath(file, mustWork = FALSE))
  read <- .answered(.Call(r_load, .model(model, threads), file))
  seen <- .described(read$value[[1L]])$contexts[[1L]]
  kinds <- vapply(seen$inputs, function(input) if (input$kind == "date") .date else .number, 0L)
  names <- vapply(seen$inputs, function(input) input$name, "")
  target <- if (nzchar(seen$target)) seen$target else "y"
  structure(
    list(
      model = model, columns = list(names = names, kinds = kinds, levels = list()), target = list(name = target, levels = NULL),
      file = file, seen = seen$rows, threads = threads, since = list(), call = match.call(),
      handle = list2env(list(pointer = read$value[[1L]], notes = read$notes), parent = emptyenv())
    ),
    class = "chorus"
  )
}

# The rows that were read, then those that joined them.
.rows <- function(object, part) unlist(c(list(object$rows[[part]]), lapply(object$since, function(one) one$rows[[part]])))

chorus_horizon <- function(object, h, every = NULL) {
  stopifnot(inherits(object, "chorus"))
  if (length(object$columns$names) != 1L || object$columns$kinds == .category) .usage("only rows along one input go on")
  if (!is.null(object$file)) .usage("the file of a context does not tell its rows; give the inputs to predict")
  h <- .whole(h, "h", 1)
  inputs <- .rows(object, "x")
  found <- .answered(.Call(r_horizon, inputs, object$columns$kinds, as.integer(h), every))$value[[1L]]
  frame <- data.frame(found)
  if (object$columns$kinds == .date) {
    is_whole <- all(inputs == round(inputs)) && all(found == round(found))
    frame[[1L]] <- if (is_whole) as.Date(found, origin = "1970-01-01") else {
      as.POSIXct(round(found * 86400000) / 1000, origin = "1970-01-01", tz = "UTC")
    }
  }
  names(frame) <- object$columns$names
  frame
}

nobs.chorus <- function(object, ...) sum(object$seen, length(.rows(object, "y")))

print.chorus <- function(x, ...) {
  cat("Chorus, model '", x$model, "': '", x$target$name, "' by ", paste(x$columns$names, collapse = ", "), "\n", sep = "")
  kinds <- c("numbers", "dates", "factors")[sort(unique(x$columns$kinds)) + 1L]
  cat(nobs(x), " rows (", paste(kinds, collapse = ", "), ")", sep = "")
  if (!is.null(x$target$levels)) cat("; levels: ", paste(head(x$target$levels, 10L), collapse = ", "), sep = "")
  cat("\n")
  for (one in x$since) if (is.null(one$rows)) {
    subject <- if (is.character(one$subject)) one$subject else paste0("value at ", paste(format(one$subject), collapse = ", "))
    cat("given: ", subject, " in [", one$bounds[1L], ", ", one$bounds[2L], "]\n", sep = "")
  }
  .posterior(x)
  if (nzchar(x$handle$notes)) cat("note:", x$handle$notes, "\n")
  invisible(x)
}
