module github.com/dibs-deals/dibs/tools

go 1.26.0
