#!/bin/sh
# Stands for cc, c++, ar or ranlib, by its own name. Upstream's variants say -march= as GCC does; zig wants -mcpu=.
# The shell alone: the sandbox of the compiler has no sed.
set -eu
tool=${0##*/}
case $tool in ar | ranlib) exec "@ZIG@" "$tool" "$@" ;; esac
for word do
    shift
    case $word in
        -march=armv8-a*) word=-mcpu=generic${word#-march=armv8-a} ;;
        -march=armv*)
            level=${word#-march=arm} features=''
            case $level in *+*) features=+${level#*+} level=${level%%+*} ;; esac
            case $features in *+fp16*) features=${features%%+fp16*}+fullfp16${features#*+fp16} ;; esac
            level=${level%-a}
            word=-mcpu=generic+${level%%.*}_${level#*.}a$features
            ;;
    esac
    set -- "$@" "$word"
done
exec "@ZIG@" "$tool" -target aarch64-linux-gnu.2.28 -g0 "$@"
