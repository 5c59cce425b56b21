# The numbers of the program, bit for bit: CHORUS_PROGRAM names it, CHORUS_EXAMPLES the folder of example files.
library(chorus)
program <- Sys.getenv("CHORUS_PROGRAM")
examples <- Sys.getenv("CHORUS_EXAMPLES")
if (!nzchar(program) || !nzchar(examples) || inherits(try(chorus_version(), silent = TRUE), "try-error")) {
  message("CHORUS_PROGRAM, CHORUS_EXAMPLES or libchorus.so is not there; the tests are skipped")
  quit("no", 0)
}

# What the program writes for arguments; read.csv's own reading of numbers is not exact.
asked <- function(...) {
  lines <- system2(program, c("predict", shQuote(c(...)), "--digits", "all", "--quiet"), stdout = TRUE)
  stopifnot(is.null(attr(lines, "status")))
  read.csv(text = lines, colClasses = "character", check.names = FALSE)
}
number <- function(text) type.convert(text, as.is = TRUE, numerals = "no.loss")

same <- function(found, expected, names) {
  for (name in names) {
    # 17 digits tell one number from any other.
    own <- vapply(found[[name]], function(value) sprintf("%.17g", value), "")
    other <- vapply(expected[[name]], function(text) sprintf("%.17g", as.double(text)), "")
    if (!identical(unname(own), unname(other))) stop(name, ": ", own[own != other][1], " and ", other[own != other][1])
  }
}

columns <- c("mean", "q0.05", "q0.5", "q0.95")
files <- list(
  list(file = "co2.csv", time = "date", target = "co2", h = 12), list(file = "sunspots.csv", time = "YEAR", target = "SUNACTIVITY", h = 9),
  list(file = "elecdemand.csv", time = "time", target = "Demand", h = 48),
  list(file = "mcycle.csv", time = "times", target = "accel", h = 4, every = "0.4")
)
for (one in files) {
  path <- file.path(examples, one$file)
  rows <- read.csv(path)
  if (one$time == "date") rows$date <- as.Date(rows$date)
  if (one$time == "time") rows$time <- as.POSIXct(sub("T", " ", rows$time), tz = "UTC", tryFormats = c("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"))
  formula <- stats::reformulate(one$time, one$target)
  future <- chorus_horizon(chorus(formula, data = rows), one$h, one$every)
  # Of a long series the rows near to what is asked for are read.
  fit <- chorus(formula, data = rows, asked = future)
  output <- tempfile(fileext = ".csv")
  every <- if (is.null(one$every)) NULL else c("--every", one$every)
  expected <- asked(
    path, "--input", one$time, "--target", one$target, "--horizon", one$h, every, "--samples", "20", "--seed", "5", "--output", output
  )
  found <- predict(fit, future, type = "frame", nsim = 20, seed = 5)
  same(found, expected, columns)
  stopifnot(identical(found$note, expected$note), identical(found$outside, expected$outside))
  written <- read.csv(output, colClasses = "character")
  same(chorus_paths(fit, future, nsim = 20, seed = 5), written, one$target)
}

# What is known.
rows <- read.csv(file.path(examples, "sunspots.csv"))
future <- data.frame(YEAR = 2009:2014)
fit <- chorus(SUNACTIVITY ~ YEAR, data = rows, asked = future)
expected <- asked(
  file.path(examples, "sunspots.csv"), "--input", "YEAR", "--target", "SUNACTIVITY", "--at", "2009..2014/1", "--samples", "30", "--given",
  "2010=20", "--given", "sum<=300"
)
fit <- chorus_given(chorus_given(fit, 2010, value = 20), "sum", most = 300)
same(predict(fit, future, type = "frame", nsim = 30), expected, columns)

# A table, and a category.
penguins <- read.csv(file.path(examples, "penguins.csv"), na.strings = c("", "NA"), stringsAsFactors = TRUE)
new <- read.csv(file.path(examples, "penguins-new.csv"), na.strings = c("", "NA"), stringsAsFactors = TRUE)
table <- function(target, samples) {
  output <- tempfile(fileext = ".csv")
  answer <- asked(
    file.path(examples, "penguins.csv"), "--target", target, "--at-file", file.path(examples, "penguins-new.csv"), "--samples", samples,
    "--seed", "3", "--output", output
  )
  inputs <- setdiff(names(penguins), target)
  new[setdiff(inputs, names(new))] <- NA
  fit <- chorus(penguins[inputs], penguins[[target]])
  list(answer = answer, paths = read.csv(output, colClasses = "character")[[target]], fit = fit, new = new)
}
mass <- table("body_mass_g", 25)
same(predict(mass$fit, mass$new, type = "frame", nsim = 25, seed = 3), mass$answer, columns)
same(chorus_paths(mass$fit, mass$new, nsim = 25, seed = 3), list(y = mass$paths), "y")
# The program's probabilities are means over paths.
species <- table("species", 1)
likely <- as.data.frame(predict(species$fit, species$new, type = "prob"))
names(likely) <- paste0("p(", names(likely), ")")
same(likely, species$answer, names(likely))
species <- table("species", 25)
stopifnot(identical(as.character(chorus_paths(species$fit, species$new, nsim = 25, seed = 3)$y), species$paths))

# Known errors, and a column beside time.
days <- 0:59
sales <- data.frame(day = as.Date("2024-03-01") + days, price = round(5 + sin(days * 1.7), 2), error = round(0.2 + 0.3 * (days %% 4), 2))
sales$sold <- round(20 + 3 * sin(days * 2 * pi / 7) - 2 * sales$price + cos(days * 2.3), 2)
sales$sold[53:60] <- NA
path <- tempfile(fileext = ".csv")
write.csv(sales, path, row.names = FALSE, na = "")
new <- sales[53:60, ]
fit <- chorus(sold ~ day, data = sales, errors = sales$error, asked = new["day"])
found <- predict(fit, new, type = "frame", nsim = 40, seed = 2)
same(found, asked(path, "--input", "day", "--target", "sold", "--error", "error", "--samples", "40", "--seed", "2"), columns)
fit <- chorus(sold ~ day + price, data = sales, series = TRUE, asked = new[c("day", "price")])
found <- predict(fit, new, type = "frame", nsim = 40, seed = 2)
same(found, asked(path, "--input", "day", "--target", "sold", "--with", "price", "--samples", "40", "--seed", "2"), columns)
