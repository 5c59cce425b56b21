# Asking.

# The inputs of new rows, as a frame; of a formula its variables.
.new_inputs <- function(object, newdata) {
  if (is.null(newdata)) .usage("give newdata: the rows to predict")
  if (is.null(object$terms)) {
    if (!is.data.frame(newdata)) newdata <- setNames(.frame(newdata), object$columns$names)
    return(as.data.frame(newdata))
  }
  wanted <- delete.response(object$terms)
  newdata <- as.data.frame(newdata)
  absent <- setdiff(all.vars(wanted), c(names(newdata), ls(environment(wanted))))
  if (length(absent)) .usage("the new data have no column '", absent[1L], "'; they have ", paste(names(newdata), collapse = ", "))
  model.frame(wanted, newdata, na.action = na.pass)
}

# The values that rows have of the target.
.target <- function(object, data, name) {
  data <- as.data.frame(data)
  wanted <- if (is.null(object$terms)) object$target$name else all.vars(object$terms[[2L]])
  absent <- setdiff(wanted, c(names(data), if (!is.null(object$terms)) ls(environment(object$terms))))
  if (length(absent)) .usage(name, " has no column '", absent[1L], "' with the values")
  if (is.null(object$terms)) data[[wanted]] else eval(object$terms[[2L]], data, environment(object$terms))
}

.asked <- function(object, newdata) .cells(.new_inputs(object, newdata), object$columns)

.draw <- function(object, newdata, nsim, seed, plan, latent, quantiles = NULL) {
  cells <- .asked(object, newdata)
  nsim <- .whole(nsim, "nsim", 1)
  seed <- .whole(seed, "seed", 0)
  drawn <- .answered(.Call(
    r_sample, .posterior(object), cells, length(object$columns$names), nsim, quantiles, plan, seed, isTRUE(latent)
  ))
  count <- length(cells) / length(object$columns$names)
  names(drawn$value) <- c("values", "outside", "means", "quantiles")
  # What comes path after path is a column a path here.
  drawn$paths <- matrix(drawn$value$values, nrow = count, ncol = nsim)
  drawn
}

simulate.chorus <- function(object, nsim = 1, seed = 0, newdata, plan = "sequential", latent = FALSE, ...) {
  if (missing(newdata)) newdata <- NULL
  if (is.null(seed)) seed <- 0
  drawn <- .draw(object, newdata, nsim, seed, plan, latent)
  columns <- lapply(seq_len(nsim), function(path) .drawn(drawn$paths[, path], object$target))
  frame <- as.data.frame(setNames(columns, paste0("sim_", seq_len(nsim))))
  attr(frame, "seed") <- seed
  attr(frame, "notes") <- drawn$notes
  frame
}

chorus_paths <- function(object, newdata, nsim = 100, seed = 0, plan = "sequential", latent = FALSE) {
  stopifnot(inherits(object, "chorus"))
  drawn <- .draw(object, newdata, nsim, seed, plan, latent)
  rows <- .as_given(object, newdata)
  count <- nrow(drawn$paths)
  frame <- data.frame(
    .path = rep(seq_len(nsim), each = count), .row = rep(seq_len(count), nsim), check.names = FALSE
  )
  kept <- setdiff(names(rows), c(".path", ".row", object$target$name))
  for (name in kept) frame[[name]] <- rows[[name]][frame$.row]
  frame[[object$target$name]] <- .drawn(as.vector(drawn$paths), object$target)
  attr(frame, "notes") <- drawn$notes
  .like(frame, newdata, ".path")
}

chorus_functionals <- function(object, newdata, names, nsim = 1000, seed = 0, plan = "sequential") {
  stopifnot(inherits(object, "chorus"))
  if (!is.character(names) || !length(names) || anyNA(names)) .usage("give names of numbers, as \"sum\" or \"first-above:3\"")
  names <- unlist(strsplit(names, ",", fixed = TRUE))
  cells <- .asked(object, newdata)
  width <- length(object$columns$names)
  drawn <- .draw(object, newdata, nsim, seed, plan, FALSE)
  numbers <- .answered(.Call(
    r_functionals, .posterior(object), cells, width, as.double(nsim), drawn$value$values, paste(names, collapse = ","),
    length(names)
  ))$value[[1L]]
  frame <- as.data.frame(matrix(numbers, nrow = nsim))
  names(frame) <- names
  attr(frame, "notes") <- drawn$notes
  frame
}

# New rows as a frame with the columns that the caller has given.
.as_given <- function(object, newdata) {
  if (is.data.frame(newdata)) as.data.frame(newdata) else setNames(.frame(newdata), object$columns$names)
}

# A tsibble of what was a tsibble, with further columns in its key, as each path is a series of its own.
.like <- function(frame, newdata, further = character()) {
  if (!inherits(newdata, "tbl_ts") || !requireNamespace("tsibble", quietly = TRUE)) return(frame)
  keys <- c(tsibble::key_vars(newdata), further)
  tsibble::as_tsibble(frame, key = !!keys, index = !!tsibble::index_var(newdata), regular = tsibble::is_regular(newdata))
}

predict.chorus <- function(
    object, newdata, type = c("auto", "mean", "quantiles", "frame", "tidy", "class", "prob"), quantiles = c(0.05, 0.5, 0.95),
    se.fit = FALSE, nsim = 100, seed = 0, plan = "sequential", ...) {
  if (missing(newdata)) newdata <- NULL
  type <- match.arg(type)
  is_category <- !is.null(object$target$levels)
  if (type == "auto") type <- if (is_category) "class" else "mean"
  if (is_category != (type %in% c("class", "prob"))) {
    what <- if (is_category) "a category, which has type 'class' and 'prob'" else "a number, which has type 'mean', 'quantiles', 'frame' and 'tidy'"
    .usage("'", object$target$name, "' is ", what)
  }
  if (type == "frame") return(.predicted_frame(object, newdata, .levels_of_quantiles(quantiles), nsim, seed, plan))
  if (type == "tidy") return(.tidy_frame(object, newdata, .levels_of_quantiles(quantiles), nsim, seed, plan))
  cells <- .asked(object, newdata)
  columns <- length(object$columns$names)
  if (is_category) {
    levels <- object$target$levels
    said <- .answered(.Call(r_probabilities, .posterior(object), cells, columns, length(levels)))
    probabilities <- t(matrix(said$value[[1L]], nrow = length(levels)))
    colnames(probabilities) <- levels
    if (type == "prob") return(probabilities)
    return(factor(levels[max.col(probabilities, ties.method = "first")], levels = levels))
  }
  wanted <- if (type == "quantiles") .levels_of_quantiles(quantiles) else double()
  laws <- .answered(.Call(r_marginals, .posterior(object), cells, columns, wanted, NULL))$value
  if (type == "quantiles") {
    found <- t(matrix(laws[[3L]], nrow = length(wanted)))
    colnames(found) <- paste0("q", wanted)
    return(found)
  }
  if (isTRUE(se.fit)) list(fit = laws[[1L]], se.fit = sqrt(laws[[2L]])) else laws[[1L]]
}

.outside <- c("context", "inputs", "targets", "reads")

# What is asked about rows that are new: their columns without that of the target, then the columns of an answer.
.with_answer <- function(object, newdata, answer) {
  frame <- .as_given(object, newdata)
  frame <- frame[setdiff(names(frame), c(object$target$name, names(answer)))]
  for (name in names(answer)) frame[[name]] <- answer[[name]]
  rownames(frame) <- NULL
  frame
}

.answer <- function(drawn, quantiles) {
  columns <- list()
  if (length(quantiles)) {
    levels <- t(matrix(drawn$value$quantiles, nrow = length(quantiles)))
    columns <- setNames(lapply(seq_along(quantiles), function(place) levels[, place]), paste0("q", quantiles))
  }
  outside <- vapply(drawn$value$outside, function(code) {
    paste(.outside[bitwAnd(code, c(1L, 2L, 4L, 8L)) > 0L], collapse = ";")
  }, "")
  c(list(mean = drawn$value$means), columns, list(outside = outside))
}

# The columns of `chorus predict`.
.predicted_frame <- function(object, newdata, quantiles, nsim, seed, plan) {
  drawn <- .draw(object, newdata, nsim, seed, plan, FALSE, quantiles)
  answer <- .answer(drawn, quantiles)
  .with_answer(object, newdata, c(answer, list(note = rep(drawn$notes, length(answer$mean)))))
}

# The same numbers under names that no column of a series has, and a tsibble where the rows were one.
.tidy_frame <- function(object, newdata, quantiles, nsim, seed, plan) {
  drawn <- .draw(object, newdata, nsim, seed, plan, FALSE, quantiles)
  answer <- .answer(drawn, quantiles)
  frame <- .with_answer(object, newdata, setNames(answer, paste0(".", names(answer))))
  attr(frame, "notes") <- drawn$notes
  .like(frame, newdata)
}

logLik.chorus <- function(object, newdata, joint = TRUE, orders = 8, seed = 0, plan = "sequential", ...) {
  if (missing(newdata)) .usage("give newdata: rows with inputs and values; the rows that were read have no likelihood of their own")
  y <- .values(.target(object, newdata, "newdata"), object$target)
  cells <- .asked(object, newdata)
  columns <- length(object$columns$names)
  if (!isTRUE(joint)) return(.answered(.Call(r_marginals, .posterior(object), cells, columns, NULL, y))$value[[4L]])
  density <- .answered(.Call(
    r_log_density, .posterior(object), cells, columns, y, as.integer(.whole(orders, "orders", 1)), plan, .whole(seed, "seed", 0)
  ))$value[[1L]]
  # Nothing was fitted to rows: there are no parameters to count.
  structure(density, df = 0L, nobs = length(y), class = "logLik")
}
