package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/tarncache/tarn/bench/peers"
)

// chart is a picture of the report.
type chart struct {
	kind  string // the section it stands in
	file  string
	title string
	svg   []byte
}

// paints are the colours of the caches, the same in every chart.
var paints = map[string]color.RGBA{
	"tarn":       {0x00, 0x69, 0x5c, 0xff},
	"otter":      {0xe0, 0x7b, 0x0b, 0xff},
	"theine":     {0x7e, 0x57, 0xc2, 0xff},
	"ristretto":  {0xc9, 0xb0, 0x37, 0xff},
	"golang-lru": {0x90, 0xa4, 0xae, 0xff},
	"lru":        {0x90, 0xa4, 0xae, 0xff},
	"sturdyc":    {0xa1, 0x88, 0x7f, 0xff},
	"s3fifo":     {0xd8, 0x1b, 0x60, 0xff},
	"sieve":      {0x7c, 0xb3, 0x42, 0xff},
	"arc":        {0x1e, 0x88, 0xe5, 0xff},
	"optimum":    {0x21, 0x21, 0x21, 0xff},
}

// drawCharts draws what there are figures for.
func drawCharts(r *runs) ([]chart, error) {
	var charts []chart
	for _, keys := range []string{"string", "uint64"} {
		c, err := throughputChart(r, keys)
		if err != nil {
			return nil, err
		}
		if c != nil {
			charts = append(charts, *c)
		}
	}
	var names []string
	of := map[string][]cell{}
	for _, c := range r.cells() {
		if of[c.trace] == nil {
			names = append(names, c.trace)
		}
		of[c.trace] = append(of[c.trace], c)
	}
	for _, name := range names {
		if len(of[name]) < 2 {
			continue
		}
		c, err := hitChart(r, name, of[name])
		if err != nil {
			return nil, err
		}
		charts = append(charts, *c)
	}
	return charts, nil
}

func newPlot(title string) *plot.Plot {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle.Font.Size = 14
	p.Title.Padding = 10
	p.Add(plainGrid())
	return p
}

func plainGrid() *plotter.Grid {
	g := plotter.NewGrid()
	g.Vertical.Width = 0
	g.Horizontal.Color = color.Gray{0xcc}
	return g
}

func newLegend() plot.Legend {
	l := plot.NewLegend()
	l.Top, l.Left = true, true
	l.Padding = 4
	l.TextStyle.Font.Size = 11
	return l
}

// picture draws a plot with its legend at the right.
func picture(p *plot.Plot, legend plot.Legend, width, height vg.Length) ([]byte, error) {
	const room, top = 95, 34
	svg := vgsvg.New(width, height)
	all := draw.New(svg)
	all.SetColor(color.White)
	all.Fill(all.Rectangle.Path())
	p.Draw(draw.Crop(all, 8, -room-12, 8, -8))
	legend.Draw(draw.Crop(all, width-room, 0, 0, -top))
	var out bytes.Buffer
	if _, err := svg.WriteTo(&out); err != nil {
		return nil, err
	}
	// The fonts stay out of the file; where these are missing, others without serifs serve.
	return bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), nil
}

// scaleY gives a plot about six steps from zero to a round number that most is below, and as many lines.
func scaleY(p *plot.Plot, most float64) {
	step := math.Pow(10, math.Floor(math.Log10(most/6)))
	for _, times := range []float64{2, 2.5, 2} { // 2, 5 and 10
		if most > 6*step {
			step *= times
		}
	}
	var ticks plot.ConstantTicks
	top := math.Ceil(most/step) * step
	for y := 0.0; y <= top+step/2; y += step {
		ticks = append(ticks, plot.Tick{Value: y, Label: strconv.FormatFloat(y, 'g', 4, 64)})
	}
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, top, ticks
}

// throughputChart has a group of bars for each workload, one for each cache. It is nil if there are no figures.
func throughputChart(r *runs, keys string) (*chart, error) {
	s := setting{keys, processors}
	var caches, groups []string
	for _, cache := range measured() {
		if _, ok := r.median(workloads[0].of(s, cache)); ok {
			caches = append(caches, cache)
		}
	}
	if len(caches) == 0 {
		return nil, nil
	}
	for _, l := range workloads {
		groups = append(groups, l.short)
	}
	title := fmt.Sprintf("Throughput, %s → %s, %d processors", keys, keys, processors)
	p, legend := newPlot(title), newLegend()
	most := 0.0
	for i, cache := range caches {
		values := r.millions(s, cache)
		most = max(most, slices.Max(values))
		bars, err := barsOf(values, cache, float64(i)-float64(len(caches)-1)/2)
		if err != nil {
			return nil, err
		}
		p.Add(bars)
		legend.Add(starred(cache), bars)
	}
	scaleY(p, most)
	p.Y.Label.Text = "million operations a second"
	p.NominalX(groups...)
	p.X.Tick.Label.Font.Size = 10
	p.X.Min, p.X.Max = -0.6, float64(len(groups))-0.4
	p.X.Label.Text = "* drops Sets under load"
	p.X.Label.TextStyle.Font.Size = 9
	svg, err := picture(p, legend, 900, 360)
	return &chart{"throughput", "throughput-" + keys + ".svg", title, svg}, err
}

// millions returns how many million operations a second a cache does in each workload; 0 where that was not measured.
func (r *runs) millions(s setting, cache string) plotter.Values {
	values := make(plotter.Values, len(workloads))
	for i, l := range workloads {
		if ns, ok := r.median(l.of(s, cache)); ok {
			values[i] = 1000 / ns
		}
	}
	return values
}

// barsOf returns a cache's bar of each group, so many bars to the right of its middle.
func barsOf(values plotter.Values, cache string, right float64) (*plotter.BarChart, error) {
	const width = 11
	bars, err := plotter.NewBarChart(values, vg.Points(width))
	if err != nil {
		return nil, err
	}
	bars.Color = paints[cache]
	bars.LineStyle.Width = 0
	bars.Offset = vg.Points(width * right)
	return bars, nil
}

// starred is a cache's name in a legend.
func starred(cache string) string {
	if f, err := peers.Find(cache); err == nil && f.DropsSets {
		return cache + "*"
	}
	return cache
}

// hitChart has a line for each cache over the capacities, and the optimum.
func hitChart(r *runs, trace string, cells []cell) (*chart, error) {
	title := "Hit ratio, " + trace
	p, legend := newPlot(title), newLegend()
	p.X.Label.Text, p.Y.Label.Text = "entries", "% of requests"
	p.X.Scale = plot.LogScale{}
	var ticks plot.ConstantTicks
	for _, c := range cells {
		ticks = append(ticks, plot.Tick{Value: float64(c.capacity), Label: strconv.Itoa(c.capacity)})
	}
	p.X.Tick.Marker = ticks
	lines := map[string][]plot.Thumbnailer{}
	most := 0.0
	for _, cache := range []string{ // from behind to the front; the legend the other way round
		"lru", "arc", "sieve", "s3fifo", "ristretto", "theine", "otter", "optimum", "tarn",
	} {
		points := r.points(cells, cache)
		if len(points) == 0 {
			continue
		}
		for _, at := range points {
			most = max(most, at.Y)
		}
		line, dots, err := lineOf(points, cache)
		if err != nil {
			return nil, err
		}
		p.Add(line, dots)
		lines[cache] = []plot.Thumbnailer{line, dots}
	}
	for _, cache := range append([]string{"optimum"}, hitCaches...) {
		if lines[cache] != nil {
			legend.Add(cache, lines[cache]...)
		}
	}
	scaleY(p, most)
	svg, err := picture(p, legend, 640, 400)
	return &chart{"hits", "hits-" + trace + ".svg", title, svg}, err
}

// points returns a cache's hit ratios by capacity.
func (r *runs) points(cells []cell, cache string) plotter.XYs {
	var points plotter.XYs
	for _, c := range cells {
		if v, ok := r.median(hitOf(c.trace, c.capacity, cache)); ok {
			points = append(points, plotter.XY{X: float64(c.capacity), Y: v})
		}
	}
	return points
}

// lineOf draws a cache's line and its dots. tarn's are thicker, and the optimum's line is broken.
func lineOf(points plotter.XYs, cache string) (*plotter.Line, *plotter.Scatter, error) {
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return nil, nil, err
	}
	line.Color, line.Width = paints[cache], 1.5
	dots.Color, dots.Radius, dots.Shape = paints[cache], 2.5, draw.CircleGlyph{}
	switch cache {
	case "tarn":
		line.Width, dots.Radius = 3, 4
	case "optimum":
		line.Dashes = []vg.Length{5, 3}
	}
	return line, dots, nil
}
