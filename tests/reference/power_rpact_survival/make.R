# Events and subjects of log-rank tests, by Schoenfeld and Freedman: rpact.
# There `1` is the treated group; allocation is treated per reference subject; years are its time unit.
suppressMessages(library(rpact))
d <- read.csv("input.csv", stringsAsFactors = FALSE, colClasses = c(weights = "character", breaks = "character", hazard = "character"))
numbers <- function(text) as.numeric(strsplit(text, " ")[[1]])
out <- list()
for (i in seq_len(nrow(d))) {
  x <- d[i, ]; w <- numbers(x$weights); h <- numbers(x$hazard); b <- c(0, numbers(x$breaks)); b <- b[!is.na(b)]
  a <- list(alpha = x$alpha, beta = 1 - x$power, sided = x$sides, typeOfComputation = c(schoenfeld = "Schoenfeld", freedman = "Freedman")[[x$method]],
            hazardRatio = x$hazard_ratio, allocationRatioPlanned = x$ratio, followUpTime = x$follow_up,
            accrualTime = seq(0, x$accrual, length.out = length(w) + 1), accrualIntensity = w / 100, accrualIntensityType = "relative",
            dropoutRate1 = x$dropout, dropoutRate2 = x$dropout, dropoutTime = 1)
  if (length(h) == 1) a$lambda2 <- h else { a$lambda2 <- h; a$piecewiseSurvivalTime <- b }
  s <- suppressMessages(suppressWarnings(do.call(getSampleSizeSurvival, a)))
  for (q in c("eventsFixed", "nFixed"))
    out[[length(out) + 1]] <- data.frame(quantity = q, term = paste(x$design, x$method), value = sprintf("%.12g", s[[q]]), rtol = 1e-5,
                                         why = "both tails count here, one tail there; else the same integrals")
}
write.csv(do.call(rbind, out), "expected.csv", row.names = FALSE, quote = TRUE)
