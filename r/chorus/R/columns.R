# Columns of data frames as the library takes them: numbers, days, numbers of levels.

.number <- 0L
.date <- 1L
.category <- 2L

# Days since 1970-01-01, by the arithmetic with which the program reads a date and a time.
.days <- function(values) {
  if (inherits(values, "POSIXlt")) values <- as.POSIXct(values)
  if (inherits(values, "Date")) return(as.double(unclass(values)))
  milliseconds <- round(as.double(unclass(values)) * 1000)
  days <- floor(milliseconds / 86400000)
  days + ((milliseconds - days * 86400000) / 1000) / 86400
}

.is_time <- function(values) inherits(values, c("Date", "POSIXt"))

# What the columns of a frame are: their names and kinds, and the levels of categories.
.columns <- function(frame) {
  kinds <- vapply(names(frame), function(name) {
    column <- frame[[name]]
    if (.is_time(column)) return(.date)
    if (is.factor(column) || is.character(column)) return(.category)
    if ((is.numeric(column) || is.logical(column)) && is.null(dim(column))) return(.number)
    .fail(65L, paste0(
      "column '", name, "' holds ", paste(class(column), collapse = "/"),
      "; columns are numbers, dates, factors or text"
    ))
  }, 0L)
  levels <- lapply(names(frame)[kinds == .category], function(name) levels(as.factor(frame[[name]])))
  list(names = names(frame), kinds = unname(kinds), levels = setNames(levels, names(frame)[kinds == .category]))
}

# The rows of a frame, one after another. A level that was never seen has the number after the last.
.cells <- function(frame, columns) {
  missing <- setdiff(columns$names, names(frame))
  if (length(missing)) .usage("the new data have no column '", missing[1L], "'; they have ", paste(names(frame), collapse = ", "))
  cells <- vapply(seq_along(columns$names), function(place) {
    name <- columns$names[place]
    column <- frame[[name]]
    kind <- columns$kinds[place]
    if (kind == .category) {
      known <- columns$levels[[name]]
      codes <- match(as.character(column), known)
      codes[is.na(codes) & !is.na(column)] <- length(known) + 1L
      return(as.double(codes) - 1)
    }
    if (.is_time(column) != (kind == .date)) {
      .fail(65L, paste0("column '", name, "' holds dates in one frame and something else in the other"))
    }
    if (kind == .date) return(.days(column))
    if (!is.numeric(column) && !is.logical(column)) .fail(65L, paste0("column '", name, "' does not hold numbers"))
    as.double(column)
  }, double(nrow(frame)))
  cells[is.na(cells)] <- NaN
  as.double(t(matrix(cells, nrow = nrow(frame))))
}

# Values of the target as the library has them.
.values <- function(values, target) {
  if (is.null(target$levels)) {
    if (!is.numeric(values) && !is.logical(values)) .fail(65L, paste0("'", target$name, "' does not hold numbers"))
    return(as.double(values))
  }
  codes <- match(as.character(values), target$levels)
  if (anyNA(codes)) {
    wrong <- as.character(values)[is.na(codes)][1L]
    .fail(65L, paste0("'", wrong, "' is no level of '", target$name, "'; it has ", paste(head(target$levels, 20L), collapse = ", ")))
  }
  as.double(codes) - 1
}

# What was drawn, as the target has it.
.drawn <- function(values, target) {
  if (is.null(target$levels)) values else factor(target$levels[values + 1], levels = target$levels)
}

.frame <- function(x, name = "x") {
  if (is.data.frame(x)) return(as.data.frame(x))
  x <- as.matrix(x)
  if (is.null(colnames(x))) colnames(x) <- if (ncol(x) == 1L) name else paste0(name, seq_len(ncol(x)))
  as.data.frame(x)
}
