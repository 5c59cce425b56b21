# What the package answers. Without a library, named by CHORUS_LIBRARY or installed beside, nothing can be asked.
library(chorus)
if (inherits(try(chorus_version(), silent = TRUE), "try-error")) {
  message("libchorus.so is not there; the tests are skipped")
  quit("no", 0)
}

# What a call fails with.
failure <- function(expression) tryCatch({ expression; NULL }, error = identity)
fails <- function(expression, class, words) {
  found <- failure(expression)
  if (is.null(found)) stop("no failure, where '", words, "' was expected")
  stopifnot(inherits(found, class), inherits(found, "chorus_error"))
  if (!grepl(words, conditionMessage(found))) stop("'", conditionMessage(found), "' does not hold '", words, "'")
}

x <- seq(0, 6, length.out = 25)
wave <- data.frame(time = x, level = sin(2 * x) + 0.1 * x)
fit <- chorus(level ~ time, data = wave)
at <- data.frame(time = c(6.5, 7, 2.2))

# The same numbers for any threads, number of paths, and way of asking.
drawn <- simulate(fit, 7, seed = 3, newdata = at)
stopifnot(identical(dim(drawn), c(3L, 7L)), identical(names(drawn)[1:2], c("sim_1", "sim_2")))
one <- chorus(level ~ time, data = wave, threads = 1)
plain <- chorus(wave$time, wave$level)
stopifnot(
  identical(drawn, simulate(one, 7, seed = 3, newdata = at)),
  identical(drawn[1:3], simulate(fit, 3, seed = 3, newdata = at)[1:3]),
  identical(as.matrix(drawn), as.matrix(simulate(plain, 7, seed = 3, newdata = at$time))),
  !identical(drawn[[1]], simulate(fit, 1, seed = 4, newdata = at)[[1]])
)
# R's random numbers are left alone.
set.seed(1)
before <- .Random.seed
invisible(simulate(fit, 2, newdata = at))
stopifnot(identical(before, .Random.seed))

# Tidy paths.
paths <- chorus_paths(fit, cbind(at, shop = c("a", "b", "c")), nsim = 7, seed = 3)
stopifnot(
  identical(names(paths), c(".path", ".row", "time", "shop", "level")), nrow(paths) == 21L,
  identical(paths$level, unlist(drawn, use.names = FALSE)), identical(paths$time[4:6], at$time), identical(paths$.path[4:6], rep(2L, 3))
)

# Numbers of whole paths.
numbers <- chorus_functionals(fit, at, c("sum", "max", "first-above:0.5"), nsim = 7, seed = 3)
drawn_matrix <- as.matrix(drawn)
stopifnot(
  identical(names(numbers), c("sum", "max", "first-above:0.5")), nrow(numbers) == 7L,
  all.equal(numbers$sum, unname(colSums(drawn_matrix)), tolerance = 1e-12), identical(numbers$max, unname(apply(drawn_matrix, 2, max))),
  identical(numbers, chorus_functionals(fit, at, "sum,max,first-above:0.5", nsim = 7, seed = 3))
)
fails(chorus_functionals(fit, at, "median"), "chorus_usage_error", "median")
fails(chorus_functionals(fit, at, character()), "chorus_usage_error", "names of numbers")

# What was kept answers the same when it is read again, in a later session too.
if (requireNamespace("jsonlite", quietly = TRUE)) {
  file <- tempfile(fileext = ".safetensors")
  chorus_save(fit, file)
  again <- chorus_load(file)
  stopifnot(
    identical(predict(again, at, type = "frame", nsim = 9, seed = 2), predict(fit, at, type = "frame", nsim = 9, seed = 2)),
    identical(nobs(again), nobs(fit)), identical(again$columns$names, "time")
  )
  later <- chorus_append(again, data.frame(time = 6.2, level = 0.4))
  stopifnot(nobs(later) == nobs(fit) + 1L)
  stored <- tempfile(fileext = ".rds")
  saveRDS(later, stored)
  stopifnot(identical(simulate(readRDS(stored), 2, newdata = at), simulate(later, 2, newdata = at)))
  fails(chorus_horizon(again, 3), "chorus_usage_error", "does not tell its rows")
  fails(chorus_load(file, model = "gp"), "chorus_error", "model")
  fails(chorus_load(tempfile()), "chorus_missing_error", ".")
} else {
  message("jsonlite is not installed: reading kept contexts is not tested")
}

# Predictions in the form of a series: a key, an index, and names of their own.
days <- data.frame(day = as.Date("2024-01-01") + 0:29, shop = "a", sold = sin(0:29))
shop <- chorus(sold ~ day, data = days)
later <- data.frame(shop = rep(c("a", "b"), each = 3), day = rep(as.Date("2024-01-31") + 0:2, 2), sold = NA, mean = 1:6)
tidy <- predict(shop, later, type = "tidy", quantiles = c(0.1, 0.9), nsim = 20, seed = 5)
plain <- predict(shop, later["day"], type = "frame", quantiles = c(0.1, 0.9), nsim = 20, seed = 5)
stopifnot(
  is.data.frame(tidy), identical(names(tidy), c("shop", "day", "mean", ".mean", ".q0.1", ".q0.9", ".outside")),
  identical(tidy[c("shop", "day", "mean")], later[c("shop", "day", "mean")]), !anyDuplicated(tidy[c("shop", "day")]),
  identical(tidy$.mean, plain$mean), identical(tidy$.q0.1, plain$q0.1), identical(tidy$.q0.9, plain$q0.9),
  identical(tidy$.outside, plain$outside), identical(unique(plain$note), attr(tidy, "notes")), !anyNA(tidy$.mean)
)
one <- predict(shop, later["day"], type = "tidy", nsim = 5, quantiles = numeric())
stopifnot(identical(names(one), c("day", ".mean", ".outside")))

if (requireNamespace("tsibble", quietly = TRUE)) {
  made <- tsibble::as_tsibble(tidy, key = shop, index = day)
  stopifnot(identical(tsibble::key_vars(made), "shop"), identical(tsibble::index_var(made), "day"), nrow(made) == 6L)
  later <- tsibble::tsibble(day = as.Date("2024-01-31") + 0:2, shop = "a", key = "shop", index = "day")
  found <- chorus_paths(shop, later, nsim = 4)
  stopifnot(tsibble::is_tsibble(found), identical(sort(tsibble::key_vars(found)), c(".path", "shop")), nrow(found) == 12L)
  said <- predict(shop, later, type = "tidy")
  stopifnot(tsibble::is_tsibble(said), identical(tsibble::key_vars(said), "shop"), identical(tsibble::index_var(said), "day"))
} else {
  message("tsibble is not installed; what becomes of one is not tested")
}

# Laws of single values, and the joint density.
law <- predict(fit, at, se.fit = TRUE)
bands <- predict(fit, at, type = "quantiles", quantiles = c(0.1, 0.9))
stopifnot(
  identical(law$fit, predict(fit, at)), all(law$se.fit > 0), identical(colnames(bands), c("q0.1", "q0.9")),
  all(bands[, 1] < law$fit & law$fit < bands[, 2])
)
new <- cbind(at, level = c(1.1, 1.2, -0.5))
joint <- logLik(fit, new)
alone <- logLik(fit, new, joint = FALSE)
stopifnot(inherits(joint, "logLik"), attr(joint, "nobs") == 3L, length(alone) == 3L)
stopifnot(abs(as.numeric(logLik(fit, new[1, ])) - alone[1]) < 1e-4, nobs(fit) == 25L)

# Series of dates go on by the calendar.
months <- data.frame(month = seq(as.Date("2022-01-01"), by = "month", length.out = 24))
months$sales <- 50 + 5 * sin(seq_len(24) * pi / 6)
series <- chorus(sales ~ month, data = months)
future <- chorus_horizon(series, 3)
stopifnot(identical(format(future$month), c("2024-01-01", "2024-02-01", "2024-03-01")))
table <- predict(series, future, type = "frame", nsim = 20)
stopifnot(identical(names(table), c("month", "mean", "q0.05", "q0.5", "q0.95", "outside", "note")), all(table$q0.05 < table$q0.95))
hours <- data.frame(when = as.POSIXct("2024-03-01", tz = "UTC") + 3600 * (0:47))
hours$load <- sin(0:47 / 4)
hourly <- chorus(load ~ when, data = hours)
stopifnot(identical(format(chorus_horizon(hourly, 2)$when, tz = "UTC"), c("2024-03-03 00:00:00", "2024-03-03 01:00:00")))

# Rows that join: close to reading all, and read again where the library's state is not at hand.
first <- chorus(level ~ time, data = wave[1:20, ])
longer <- chorus_append(first, rbind(wave[21:25, ], data.frame(time = 9, level = NA)))
late <- data.frame(time = c(5.1, 5.6, 5.9))
kept <- unserialize(serialize(longer, NULL))
stopifnot(
  nobs(longer) == 25L, nobs(first) == 20L, identical(predict(kept, at), predict(longer, at)),
  abs(predict(longer, late) - predict(fit, late)) < abs(predict(first, late) - predict(fit, late)) / 5,
  identical(chorus_horizon(longer, 2), chorus_horizon(fit, 2))
)
both <- chorus_given(longer, 6.5, value = 1)
stopifnot(identical(predict(unserialize(serialize(both, NULL)), at), predict(both, at)))
fails(chorus_append(first, wave["time"]), "chorus_usage_error", "no column 'level'")
fails(chorus_append(first, data.frame(time = 9, level = NA_real_)), "chorus_data_error", "no row of the data")
file <- tempfile(fileext = ".safetensors")
chorus_save(longer, file)
stopifnot(file.size(file) > 1000)
fails(chorus_save(longer, file.path(tempdir(), "no", "folder.safetensors")), "chorus_access_error", "folder")

# What is known of values that are not observed.
bounded <- chorus_given(fit, 6.5, least = 1.2)
stopifnot(all(as.matrix(simulate(bounded, 30, newdata = at))[1, ] >= 1.2))
total <- chorus_given(fit, "sum", most = 1.4)
stopifnot(all(colSums(simulate(total, 30, newdata = at)) <= 1.4))
pinned <- chorus_given(fit, 6.5, value = 3)
stopifnot(abs(predict(pinned, data.frame(time = 6.5)) - 3) < abs(predict(fit, data.frame(time = 6.5)) - 3))
fails(logLik(bounded, new), "chorus_usage_error", "no densities")
fails(chorus_given(fit, "sum", value = 3), "chorus_usage_error", "no path meets")
fails(chorus_given(fit, "median", least = 3), "chorus_usage_error", "none of sum")

# Tables: factors, missing cells, a category as the target.
air <- chorus(Ozone ~ Solar.R + Wind + Temp + month, data = transform(airquality, month = factor(month.abb[Month])))
stopifnot(identical(air$model, "tables"), nobs(air) == sum(!is.na(airquality$Ozone)))
asked <- data.frame(Solar.R = c(NA, 190), Wind = c(7, 12), Temp = c(90, 65), month = c("Aug", "Dec"))
said <- predict(air, asked)
stopifnot(length(said) == 2L, said[1] > said[2])
species <- chorus(Species ~ ., data = iris[-c(1, 51, 101), ])
asked <- iris[c(1, 51, 101), ]
likely <- predict(species, asked, type = "prob")
stopifnot(
  identical(species$model, "classes"), identical(predict(species, asked), asked$Species),
  identical(colnames(likely), levels(iris$Species)), all(abs(rowSums(likely) - 1) < 1e-9),
  abs(as.numeric(logLik(species, asked[1, ])) - log(likely[1, 1])) < 1e-5,
  all(abs(logLik(species, asked, joint = FALSE) - log(diag(likely))) < 1e-12)
)
# The estimators alone: rows are independent.
pool <- chorus(Species ~ ., data = iris[-c(1, 51, 101), ], model = "tables")
alone <- predict(pool, asked, type = "prob")
stopifnot(!identical(alone, likely), abs(as.numeric(logLik(pool, asked)) - sum(log(diag(alone)))) < 1e-12)
kinds <- simulate(species, 50, newdata = asked, seed = 1)
stopifnot(is.factor(kinds[[1]]), mean(kinds[1, ] == "setosa") > 0.5)
stopifnot(is.factor(chorus_paths(species, asked, 2)$Species))
fails(predict(species, asked, type = "mean"), "chorus_usage_error", "is a category")

# What is wrong is said.
fails(chorus(level ~ time, data = wave, model = "no-such-model"), "chorus_missing_error", "no model 'no-such-model'")
fails(chorus(level ~ time, data = wave[1, ]), "chorus_data_error", "at least 2")
fails(simulate(fit, 2, newdata = at, plan = "no-such-plan"), "chorus_usage_error", "no-such-plan")
fails(predict(fit, data.frame(hour = 1)), "chorus_usage_error", "no column 'time'")
fails(predict(fit, data.frame(time = "noon")), "chorus_data_error", "does not hold numbers")
fails(chorus(level ~ time, data = wave, bounds = c(2, 1)), "chorus_usage_error", "bounds")
fails(chorus(level ~ time, data = wave, bounds = c(2, Inf)), "chorus_data_error", "below the least")
fails(chorus(level ~ time, data = wave, colour = 1), "chorus_usage_error", "no argument 'colour'")
fails(simulate(fit, 0, newdata = at), "chorus_usage_error", "nsim is 0")
fails(logLik(fit), "chorus_usage_error", "newdata")

# A fit can be kept, and used in a process that was forked.
file <- tempfile()
saveRDS(fit, file)
stopifnot(identical(simulate(readRDS(file), 7, seed = 3, newdata = at), drawn))
if (.Platform$OS.type == "unix" && requireNamespace("parallel", quietly = TRUE)) {
  forked <- parallel::mclapply(1:2, function(seed) simulate(fit, 1, seed = seed, newdata = at)[[1]], mc.cores = 2)
  stopifnot(identical(forked[[2]], simulate(fit, 1, seed = 2, newdata = at)[[1]]))
}

# A long call stops when the user interrupts it.
if (.Platform$OS.type == "unix") {
  many <- data.frame(time = seq(0, 12, length.out = 400))
  system(paste("sleep 1; kill -INT", Sys.getpid()), wait = FALSE)
  started <- Sys.time()
  stopped <- tryCatch({ simulate(fit, 20000, newdata = many); FALSE }, interrupt = function(condition) TRUE)
  stopifnot(stopped, difftime(Sys.time(), started, units = "secs") < 60)
  stopifnot(identical(simulate(fit, 7, seed = 3, newdata = at), drawn))
}
