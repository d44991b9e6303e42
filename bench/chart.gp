# Draws the chart of RESULTS.md (gnuplot 5): a line for each row, landline and the best other server
# as ratios of their rate to the bare C loop's, with lowest and highest. Called by run.sh:
#   gnuplot -e "data='chart.tsv'; chart='RESULTS.svg'" chart.gp
#
# What it does not do: compute; the figures come from `landline-load suite --chart-data`.
set datafile separator "\t"
set datafile missing "-"
stats data using 2 nooutput
rows = STATS_records
most = STATS_max
stats data using 5 nooutput
if (STATS_records > 0 && STATS_max > most) { most = STATS_max }
set terminal svg size 960, 100 + 30 * rows font "sans-serif,13" background "white"
set output chart
set title "Rate; a bare C loop with the same system calls is 1"
set key at screen 0.9, char 1 right bottom horizontal
set bmargin 4
# A highest pair far outside is cut off.
limit = 1.2 * most
set xrange [0:limit]
set rmargin 16
set yrange [rows - 0.4:-0.6]
set border 1
set xtics nomirror
set ytics scale 0
set grid xtics
set arrow from 1, graph 0 to 1, graph 1 nohead lw 2 lc rgb "#444444" front
half = 0.17
plot data using (0):($0 - half):(0):2:($0 - 2 * half):($0):ytic(1) with boxxyerror \
         fs solid 0.9 noborder lc rgb "#0072b2" title "landline", \
     data using 2:($0 - half):3:4 with xerrorbars pt 0 lw 1.5 lc rgb "#222222" notitle, \
     data using (0):($0 + half):(0):5:($0):($0 + 2 * half) with boxxyerror \
         fs solid 0.9 noborder lc rgb "#e69f00" title "best other server", \
     data using 5:($0 + half):6:7 with xerrorbars pt 0 lw 1.5 lc rgb "#222222" notitle, \
     data using (limit):($0 + half):(strcol(8) eq "-" ? "" : strcol(8)) with labels left offset 1, 0 font ",11" notitle
